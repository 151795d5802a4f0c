package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/control/controltest"
)

// A reloading Target counts how often it reads its file again.
type reloading struct {
	Target
	reloads int
	failure error
}

func (r *reloading) Reload() error {
	r.reloads++
	return r.failure
}

// serveAt serves a Target on a socket outside of Dir.
func serveAt(t *testing.T, target Target) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "sockets", "wg7.sock")
	server, err := ListenAt(path, "wg7", nil)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(target) }()
	t.Cleanup(func() {
		server.Close()
		<-served
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return path
}

// A socket can be anywhere, and is found by its path. A second daemon is refused there.
func TestSocketByItsPath(t *testing.T) {
	path := serveAt(t, new(controltest.Target))
	status, err := StatusOf(path)
	if err != nil || status.Name != "wg7" {
		t.Errorf("got %q, %v, want the status of wg7", status.Name, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("beside the socket: %v, %v, want nothing, the folder may be that of others too", files, err)
	}
	if _, err := ListenAt(path, "wg7", nil); err == nil || !strings.Contains(err.Error(), "wg7 is already running, with the control socket "+path) {
		t.Errorf("a second daemon: %v", err)
	}
	if _, err := StatusOf(filepath.Join(filepath.Dir(path), "wg8.sock")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	if _, err := StatusOf("/tmp/not a name.sock"); !errors.Is(err, conf.ErrInvalid) {
		t.Errorf("no name: %v", err)
	}
}

// A socket whose path no other command would accept is refused.
func TestSocketPathIsOneForOthers(t *testing.T) {
	for _, name := range []string{"ctl", "wg7.socket", "not a name.sock", ".sock"} {
		server, err := ListenAt(filepath.Join(t.TempDir(), name), "wg7", nil)
		if err == nil {
			server.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "end in .sock: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that is no socket is not replaced: it may be the user's configuration.
func TestSocketReplacesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wg7.sock")
	if err := os.WriteFile(path, []byte("[Interface]"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := ListenAt(path, "wg7", nil)
	if err == nil {
		server.Close()
	}
	if err == nil || !strings.Contains(err.Error(), path+" is a file that is no socket") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "[Interface]" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// A request to read the file again reaches the Target, and its error the client. A Target
// without a file refuses.
func TestReloadRequest(t *testing.T) {
	target := &reloading{Target: new(controltest.Target)}
	request := func(path string) error {
		client, err := Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return client.Reload()
	}
	path := serveAt(t, target)
	if err := request(path); err != nil || target.reloads != 1 {
		t.Errorf("%d reloads, %v, want 1", target.reloads, err)
	}
	target.failure = errors.New("p.conf:3: no equals sign")
	if err := request(path); err == nil || err.Error() != target.failure.Error() {
		t.Errorf("got %v, want %v", err, target.failure)
	}
	if err := request(serveAt(t, new(controltest.Target))); err == nil || !strings.Contains(err.Error(), "no file that it could read again") {
		t.Errorf("a Target without a file: %v", err)
	}
}
