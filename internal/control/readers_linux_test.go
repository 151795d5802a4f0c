package control_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/sys/unixsocket"
)

// A user whose primary or supplementary group may read gets the status, and finds the
// interface by itself, but may not change it. Other users cannot connect, and learn which
// group could. The test runs itself as these users.
func TestUsersOfTheGroup(t *testing.T) {
	if dir := os.Getenv("WGD_TEST_READ_IN"); dir != "" {
		control.Dir = dir
		names, err := control.Names()
		fmt.Println("names:", names, err)
		client, err := control.Dial("wg0")
		if err != nil {
			fmt.Println("dial:", err)
			return
		}
		status, err := client.Status()
		fmt.Println("status:", status.ListenPort, status.KeysWithheld, err)
		fmt.Println("apply:", client.Apply(conf.Change{ListenPort: ptr(uint16(8))}))
		return
	}
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test needs root")
		}
		t.Skip("LEFT OUT: what users of the group may do: needs root")
	}
	dir := useTempDir(t)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	target := controltest.New(conf.Status{ListenPort: 7})
	server, err := control.Listen("wg0", &unixsocket.Group{ID: 4001, Name: "vpn"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go server.Serve(target)
	program := filepath.Join(filepath.Dir(dir), "test")
	binary, err := os.ReadFile("/proc/self/exe")
	if err := errors.Join(err, os.WriteFile(program, binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	refusal := "wg0: members of the group vpn may read only, and not do this: do it as root\n"
	reads := []string{"names: [wg0] <nil>\n", "status: 7 true <nil>\n", "apply: " + refusal}
	for _, c := range []struct {
		as   syscall.Credential
		want []string
	}{
		{syscall.Credential{Uid: nobody, Gid: 4001}, reads},
		{syscall.Credential{Uid: 4000, Gid: 4000, Groups: []uint32{7, 4001}}, reads},
		{syscall.Credential{Uid: 4000, Gid: 4000, Groups: []uint32{7}}, []string{"names: [wg0] <nil>\n",
			"dial: wg0: permission denied on " + server.Path() + ": do this as root, or, if reading is enough, as a member of the group 4001 (a session has the groups of its login)\n"}},
		{syscall.Credential{Uid: 0, Gid: 4000, Groups: []uint32{7}}, []string{"status: 7 false <nil>\n", "apply: <nil>\n"}},
	} {
		other := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
		other.Dir = "/"
		other.Env = append(os.Environ(), "WGD_TEST_READ_IN="+dir)
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &c.as}
		out, err := other.CombinedOutput()
		for _, want := range c.want {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%+v: %v\n%s\nwant %q", c.as, err, out, want)
			}
		}
		if changed := len(target.Applied()) > 0; changed != (c.as.Uid == 0) {
			t.Errorf("%+v: changed: %v", c.as, changed)
		}
	}
}

// A socket that no reader could reach is an error, and no socket is left.
func TestFolderThatReadersCannotPass(t *testing.T) {
	dir := useTempDir(t)
	above := filepath.Dir(dir)
	group := &unixsocket.Group{ID: uint32(os.Getegid()), Name: "vpn"}
	if _, err := control.Listen("wg0", group); err == nil || !strings.Contains(err.Error(), "wg0: the group vpn cannot reach the control socket, because only the owner of "+above+" may pass through it (mode 0700): chmod it to 755") {
		t.Errorf("a folder above for its owner only: %v", err)
	}
	if err := errors.Join(os.Chmod(above, 0o711), os.Chmod(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Listen("wg0", group); err == nil || !strings.Contains(err.Error(), "only the owner of "+dir+" may pass") {
		t.Errorf("a folder for its owner only: %v", err)
	}
	if names, err := filepath.Glob(dir + "/*"); err != nil || len(names) > 0 {
		t.Errorf("there is %v, %v", names, err)
	}
	os.Chmod(dir, 0o755)
	server, err := control.Listen("wg0", group)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	names, err := control.Names()
	if err != nil || !slices.Contains(names, "wg0") {
		t.Errorf("names: %v, %v", names, err)
	}
}

// An inherited socket keeps its mode and group. Its owner may do everything.
func TestInheritedSocketOfTheGroup(t *testing.T) {
	useTempDir(t)
	parent, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parent.File()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	child, err := control.FromFile(file, "wg0", &unixsocket.Group{ID: 4001, Name: "vpn"})
	if err != nil {
		t.Fatal(err)
	}
	defer child.Release()
	go child.Serve(controltest.New(conf.Status{}))
	if err := dial(t, "wg0").Apply(conf.Change{ListenPort: ptr(uint16(8))}); err != nil {
		t.Errorf("the owner: %v", err)
	}
	if info, err := os.Stat(parent.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
}
