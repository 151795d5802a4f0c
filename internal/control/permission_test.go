//go:build unix

package control_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
)

const nobody = 65534

// TestPermissionDenied: a user without permission to connect gets an error that
// says what to do. The test runs itself as another user.
func TestPermissionDenied(t *testing.T) {
	if dir := os.Getenv("WGD_TEST_DIAL_IN"); dir != "" {
		control.Dir = dir
		_, err := control.Dial("wg0")
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		return
	}
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test needs root")
		}
		t.Skip("LEFT OUT: the error that an ordinary user gets for root's socket: needs root")
	}
	dir := useTempDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	os.Chmod(filepath.Dir(dir), 0o755)
	program := filepath.Join(filepath.Dir(dir), "test")
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	other := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	other.Dir = "/"
	other.Env = append(os.Environ(), "WGD_TEST_DIAL_IN="+dir)
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := other.CombinedOutput()
	if want := "error: wg0: permission denied on " + control.SocketPath("wg0") + ": do this as root\n"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v\n%s\nwant %q", err, out, want)
	}
}
