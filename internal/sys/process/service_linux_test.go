package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The service manager gets each state in a datagram of its own, on a socket with a path
// and on an abstract one.
func TestNotifySocket(t *testing.T) {
	for _, address := range []string{
		filepath.Join(t.TempDir(), "notify"),
		fmt.Sprintf("@wgd-test-%d", os.Getpid()),
	} {
		listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		t.Setenv(envNotify, address)
		m, err := FindNotifySocket()
		if err != nil {
			t.Fatal(err)
		}
		if value, set := os.LookupEnv(envNotify); set {
			t.Errorf("%s is still %q: programs that are started would use it", envNotify, value)
		}
		received := func(err error) string {
			if err != nil {
				t.Fatal(err)
			}
			listener.SetReadDeadline(time.Now().Add(10 * time.Second))
			buf := make([]byte, 500)
			n, err := listener.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			return string(buf[:n])
		}
		if got := received(m.Ready("up")); got != "READY=1\nSTATUS=up" {
			t.Errorf("ready: %q", got)
		}
		if got := received(m.Status("half")); got != "STATUS=half" {
			t.Errorf("status: %q", got)
		}
		if got := received(m.Stopping()); !strings.HasPrefix(got, "STOPPING=1\n") {
			t.Errorf("stopping: %q", got)
		}
		before := monotonic(t)
		text := received(m.Reloading())
		var at int64
		if _, err := fmt.Sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%d\n", &at); err != nil || at < before || at > monotonic(t) {
			t.Errorf("reloading at %d, after %d: %q: %v", at, before, text, err)
		}
	}
}

func monotonic(t *testing.T) int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// Without a service manager nothing is sent; one that cannot be reached is an error.
func TestNoNotifySocket(t *testing.T) {
	t.Setenv(envNotify, "")
	m, err := FindNotifySocket()
	if m != nil || err != nil || m.Ready("up") != nil || m.Stopping() != nil || m.Reloading() != nil {
		t.Errorf("no service manager: got %v, %v, want nil, nil", m, err)
	}
	for _, address := range []string{"/nowhere/notify", "vsock:2:1234", "notify"} {
		t.Setenv(envNotify, address)
		if _, err := FindNotifySocket(); err == nil || !strings.Contains(err.Error(), envNotify) {
			t.Errorf("%s: got %v, want an error that names the variable", address, err)
		}
	}
}

// SIGHUP and the end of a child are received, and Reap forgets the child.
func TestReceiveAndReap(t *testing.T) {
	s := Receive()
	defer s.Stop()
	arrives := func(c <-chan os.Signal, what string) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is not received", what)
		}
	}
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	arrives(s.Reload, "SIGHUP")
	cmd := exec.Command("echo")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	arrives(s.Orphan, "the end of a child")
	stat := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat"
	if _, err := os.Stat(stat); err != nil {
		t.Fatalf("%v: somebody has waited for the child: this test proves nothing", err)
	}
	Reap()
	if text, err := os.ReadFile(stat); err == nil {
		t.Errorf("the child is still there: %s", text)
	}
	cmd.Wait() // Reap has already forgotten it: only Go's own resources are freed
}

// SIGTERM and SIGINT stop the process, SIGHUP does not.
func TestUntilStopped(t *testing.T) {
	s := Receive()
	defer s.Stop()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		ctx, stop := UntilStopped()
		syscall.Kill(os.Getpid(), syscall.SIGHUP)
		<-s.Reload
		if ctx.Err() != nil {
			t.Error("SIGHUP stops the process")
		}
		syscall.Kill(os.Getpid(), signal)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%v does not stop the process", signal)
		}
		stop()
	}
}
