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

// useTempDir puts the sockets of a test in a directory of its own, which the server
// makes.
func useTempDir(t testing.TB) string {
	t.Helper()
	controltest.UseTempDir(t, &control.Dir)
	control.Dir = filepath.Join(control.Dir, "wireguard")
	return control.Dir
}

// serve starts a server that ends with the test.
func serve(t testing.TB, name string, target control.Target) *control.Server {
	t.Helper()
	server, err := control.Listen(name, nil)
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

// TestSocketFile: the socket has mode 0600, in a directory with mode 0755. Close
// leaves no files.
func TestSocketFile(t *testing.T) {
	dir := useTempDir(t)
	server, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode of the directory: %v, %v", info, err)
	}
	info, err := os.Lstat(filepath.Join(dir, "wg0.sock"))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode of the socket: %v, %v", info, err)
	}
	if got, want := server.Path(), filepath.Join(dir, "wg0.sock"); got != want {
		t.Errorf("Path: got %s, want %s", got, want)
	}
	if names, err := control.Names(); err != nil || !reflect.DeepEqual(names, []string{"wg0"}) {
		t.Errorf("Names: got %v, %v, want wg0", names, err)
	}
	server.Close()
	server.Close()
	entries, _ := os.ReadDir(dir)
	if len(entries) != 0 {
		t.Errorf("files after Close: %v, want none", entries)
	}
}

// TestSecondListenFails: a second daemon cannot use the name of a running one.
func TestSecondListenFails(t *testing.T) {
	useTempDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	_, err := control.Listen("wg0", nil)
	if err == nil || !strings.Contains(err.Error(), "wg0 is already running") {
		t.Errorf("second Listen: got %v, want that wg0 is already running", err)
	}
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Errorf("Status of the first daemon afterwards: %v", err)
	}
}

// TestConcurrentListen: if several daemons start at the same time, exactly one
// gets the name.
func TestConcurrentListen(t *testing.T) {
	useTempDir(t)
	for range 20 {
		var group sync.WaitGroup
		var mu sync.Mutex
		var servers []*control.Server
		for range 8 {
			group.Go(func() {
				if s, err := control.Listen("wg0", nil); err == nil {
					mu.Lock()
					servers = append(servers, s)
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if len(servers) != 1 {
			t.Fatalf("%d daemons got the name, want 1", len(servers))
		}
		servers[0].Close()
	}
}

// TestStaleSocketIsReplaced: Listen replaces the socket of a daemon that was
// killed.
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
		t.Errorf("Names lists an interface without a daemon: %v", names)
	}
	if _, err := control.Dial("wg0"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Dial: got %v, want %v", err, control.ErrNotRunning)
	}
	serve(t, "wg0", controltest.New(conf.Status{}))
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Error(err)
	}
}

// TestCloseRemovesOnlyItsOwnSocket: Close does not remove the socket of another
// daemon that has replaced its own.
func TestCloseRemovesOnlyItsOwnSocket(t *testing.T) {
	dir := useTempDir(t)
	server, err := control.Listen("wg0", nil)
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
		t.Errorf("the other daemon's socket: %v", err)
	}
}

// TestNoSuchInterface: the error of Dial says how to create the interface.
func TestNoSuchInterface(t *testing.T) {
	useTempDir(t)
	_, err := control.Dial("wg7")
	if !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), "wg-ifconfig wg7 create") {
		t.Errorf("Dial: got %v, want the command that creates wg7", err)
	}
	for _, bad := range []string{"", "../wg0", "a/b", strings.Repeat("x", 16)} {
		if _, err := control.Dial(bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Dial(%q): %v", bad, err)
		}
		if _, err := control.Listen(bad, nil); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Listen(%q): %v", bad, err)
		}
	}
}

// TestNothingLeaks: starting and closing many servers leaks no goroutine and no
// descriptor (B55, B59).
func TestNothingLeaks(t *testing.T) {
	useTempDir(t)
	target := controltest.New(conf.Status{})
	before := descriptors(t)
	goroutines := runtime.NumGoroutine()
	for i := range 300 {
		server, err := control.Listen("wg0", nil)
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
			before++ // the client's descriptor
		}
	}
	time.Sleep(50 * time.Millisecond)
	if now := descriptors(t); now > before+2 {
		t.Errorf("%d descriptors, %d before", now, before)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
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

// TestInheritedSocket: a child serves the socket that it inherits (WG_UAPI_FD)
// after the parent has released it.
func TestInheritedSocket(t *testing.T) {
	dir := useTempDir(t)
	parent, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parent.File()
	if err != nil {
		t.Fatal(err)
	}
	child, err := control.FromFile(file, "wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Release(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- child.Serve(controltest.New(conf.Status{ListenPort: 9})) }()
	if s, err := dial(t, "wg0").Status(); err != nil || s.ListenPort != 9 {
		t.Errorf("Status from the child: %+v, %v", s, err)
	}
	child.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "wg0.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket still exists after Close: %v", err)
	}
	plain, _ := os.Open(os.DevNull)
	if _, err := control.FromFile(plain, "wg0", nil); err == nil || !strings.Contains(err.Error(), "is not a listening unix socket: give the descriptor of one") {
		t.Errorf("FromFile of a file that is not a socket: %v", err)
	}
}
