package control_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
)

// A user who cannot write to the directory of the system has the sockets in
// $XDG_RUNTIME_DIR/wireguard. The commands of that user find them there, and those
// of the system's directory as well.
func TestSocketOfAnOrdinaryUser(t *testing.T) {
	useTempDir(t)
	serve(t, "wg1", controltest.New(conf.Status{ListenPort: 1}))
	system := control.Dir
	own, err := os.MkdirTemp("", "own")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(own)
	t.Setenv("XDG_RUNTIME_DIR", own)

	if server := serve(t, "wg2", controltest.New(conf.Status{})); filepath.Dir(server.Path()) != system {
		t.Errorf("the directory of the system is writable, and the socket is %s", server.Path())
	}
	control.Dir = "/proc/sys/wireguard" // nobody can write there
	server := serve(t, "wg0", controltest.New(conf.Status{ListenPort: 7}))
	if want := filepath.Join(own, "wireguard/wg0.sock"); server.Path() != want {
		t.Errorf("got %s, want %s", server.Path(), want)
	}
	if status, err := control.StatusOf("wg0"); err != nil || status.ListenPort != 7 {
		t.Errorf("the status: port %d, %v", status.ListenPort, err)
	}
	if names, err := control.Names(); err != nil || !slices.Equal(names, []string{"wg0"}) {
		t.Errorf("names: got %v, %v", names, err)
	}
	if _, err := control.Listen("wg0", nil); err == nil {
		t.Error("a second daemon has the same name")
	}
}
