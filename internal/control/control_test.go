package control_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
)

func ptr[T any](v T) *T { return &v }

// useTempDir lets the sockets of a test be in a directory of its own. Its path is
// short, for that of a socket has at most 107 bytes.
func useTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wgd")
	if err != nil {
		t.Fatal(err)
	}
	old := control.Dir
	control.Dir = filepath.Join(dir, "wireguard")
	t.Cleanup(func() {
		control.Dir = old
		os.RemoveAll(dir)
	})
	return control.Dir
}

// serve starts an interface that ends with the test.
func serve(t testing.TB, name string, target control.Target) *control.Server {
	t.Helper()
	server, err := control.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(target) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-ended; err != nil {
			t.Error("Serve:", err)
		}
	})
	return server
}

func dial(t testing.TB, name string) *control.Client {
	t.Helper()
	client, err := control.Dial(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TestSocketFile: mode 0600 in a directory of 0755, from its first moment on;
// nothing is left behind.
func TestSocketFile(t *testing.T) {
	dir := useTempDir(t)
	server, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory: %v %v", info.Mode(), err)
	}
	info, err := os.Lstat(filepath.Join(dir, "wg0.sock"))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket: %v %v", info, err)
	}
	if server.Path() != filepath.Join(dir, "wg0.sock") {
		t.Error(server.Path())
	}
	if names, err := control.Names(); err != nil || !reflect.DeepEqual(names, []string{"wg0"}) {
		t.Errorf("Names: %v %v", names, err)
	}
	server.Close()
	server.Close()
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != ".lock" {
		t.Errorf("left behind: %v", entries)
	}
}

// TestSecondListenFails: two daemons for one name.
func TestSecondListenFails(t *testing.T) {
	useTempDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	_, err := control.Listen("wg0")
	if err == nil || !strings.Contains(err.Error(), "wg0 already runs") {
		t.Errorf("the second: %v", err)
	}
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Errorf("the first, after that: %v", err)
	}
}

// TestConcurrentListen: of daemons that start at once, one gets the name.
func TestConcurrentListen(t *testing.T) {
	useTempDir(t)
	for range 20 {
		var group sync.WaitGroup
		var mu sync.Mutex
		var servers []*control.Server
		for range 8 {
			group.Go(func() {
				if s, err := control.Listen("wg0"); err == nil {
					mu.Lock()
					servers = append(servers, s)
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if len(servers) != 1 {
			t.Fatalf("%d daemons of one name", len(servers))
		}
		servers[0].Close()
	}
}

// TestStaleSocketIsReplaced: a daemon that was killed leaves its socket.
func TestStaleSocketIsReplaced(t *testing.T) {
	dir := useTempDir(t)
	os.MkdirAll(dir, 0o755)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "wg0.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if names, _ := control.Names(); len(names) != 0 {
		t.Errorf("the dead are listed: %v", names)
	}
	if _, err := control.Dial("wg0"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Dial: %v", err)
	}
	serve(t, "wg0", controltest.New(conf.Status{}))
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Error(err)
	}
}

// TestCloseRemovesOnlyItsOwnSocket: a socket that another daemon put in its place stays.
func TestCloseRemovesOnlyItsOwnSocket(t *testing.T) {
	dir := useTempDir(t)
	server, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wg0.sock")
	os.Remove(path)
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the other's socket is gone")
	}
}

// TestNoSuchInterface: the sentence says how to make one.
func TestNoSuchInterface(t *testing.T) {
	useTempDir(t)
	_, err := control.Dial("wg7")
	if !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), "wg-ifconfig wg7 create") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "../wg0", "a/b", strings.Repeat("x", 16)} {
		if _, err := control.Dial(bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Dial(%q): %v", bad, err)
		}
		if _, err := control.Listen(bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Listen(%q): %v", bad, err)
		}
	}
}

// TestNothingLeaks: no goroutine or descriptor is left (B55, B59).
func TestNothingLeaks(t *testing.T) {
	useTempDir(t)
	target := controltest.New(conf.Status{})
	before := descriptors(t)
	goroutines := runtime.NumGoroutine()
	for i := range 300 {
		server, err := control.Listen("wg0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- server.Serve(target) }()
		if i%2 == 0 {
			client, err := control.Dial("wg0")
			if err != nil {
				t.Fatal(err)
			}
			go client.Status()
			defer client.Close()
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			before++ // the client's own
		}
	}
	time.Sleep(50 * time.Millisecond)
	if now := descriptors(t); now > before+2 {
		t.Errorf("%d descriptors, were %d", now, before)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines, were %d", now, goroutines)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestInheritedSocket: WG_UAPI_FD, and the parent that lets go of its end.
func TestInheritedSocket(t *testing.T) {
	dir := useTempDir(t)
	parent, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parent.File()
	if err != nil {
		t.Fatal(err)
	}
	child, err := control.FromFile(file, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Release(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- child.Serve(controltest.New(conf.Status{ListenPort: 9})) }()
	if s, err := dial(t, "wg0").Status(); err != nil || s.ListenPort != 9 {
		t.Errorf("%+v %v", s, err)
	}
	child.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "wg0.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	plain, _ := os.Open(os.DevNull)
	if _, err := control.FromFile(plain, "wg0"); err == nil || !strings.Contains(err.Error(), "give the descriptor of a listening unix socket") {
		t.Error("a plain file is taken for a socket")
	}
}
