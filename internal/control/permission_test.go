//go:build unix

package control_test

import (
	"errors"
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

// TestPermissionDenied: a user without permission to connect, or to listen, gets an error
// that says what to do. The test runs itself as another user.
func TestPermissionDenied(t *testing.T) {
	if dir := os.Getenv("WGD_TEST_DIAL_IN"); dir != "" {
		control.Dir = dir
		_, err := control.Dial("wg0")
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		_, err = control.Dial(os.Getenv("WGD_TEST_DIAL_AT"))
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		_, err = control.ListenAt(os.Getenv("WGD_TEST_LISTEN_AT"), "wg1", nil)
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
	// A folder that is everybody's, in which another user's file has the name of the lock.
	shared := filepath.Join(filepath.Dir(dir), "shared")
	if err := errors.Join(os.Mkdir(shared, 0), os.Chmod(shared, 0o777|os.ModeSticky), os.WriteFile(shared+"/wg1.sock.lock", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	elsewhere := shared + "/wg2.sock"
	server, err := control.ListenAt(elsewhere, "wg2", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
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
	other.Env = append(os.Environ(), "WGD_TEST_DIAL_IN="+dir, "WGD_TEST_DIAL_AT="+elsewhere, "WGD_TEST_LISTEN_AT="+shared+"/wg1.sock")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := other.CombinedOutput()
	for _, want := range []string{
		"error: wg0: permission denied on " + control.SocketPath("wg0") + ": do this as root\n",
		"error: wg2: permission denied on " + elsewhere + ": do this as root\n",
		"error: wg1: no permission to make the control socket in " + shared + ": choose a folder that is yours alone",
	} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v\n%s\nwant %q", err, out, want)
		}
	}
}
