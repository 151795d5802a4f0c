package netns_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
	"wgd/internal/sys/netns/netnstest"
)

// B52: Do leaves no thread in the namespace, however the function ends. The thread
// may be the first one of the process, which never ends.
func TestDoLeavesNoThreadBehind(t *testing.T) {
	netnstest.Isolate(t)
	ns := netnstest.Another(t)
	if err := netns.Do(ns, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := netns.Do(ns, func() error { return unix.EIO }); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
	if err := netns.Do(ns, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error, though the function ended its goroutine")
	}
	if held := netnstest.Holders(t, ns); len(held) != 1 {
		t.Errorf("the namespace is held by %v, want by the test's own file only", held)
	}
}

// The function runs in the namespace that is passed, and the caller stays in its own.
func TestDoRunsInTheNamespace(t *testing.T) {
	netnstest.Isolate(t)
	home, other := netnstest.Here(t), netnstest.Another(t)
	for _, ns := range []*os.File{home, other, home} {
		var was *os.File
		if err := netns.Do(ns, func() (err error) { was, err = netns.Here(); return err }); err != nil {
			t.Fatal(err)
		}
		if !netns.Same(was, ns) {
			t.Error("the function ran in another namespace")
		}
		was.Close()
	}
	if netns.Same(home, other) || !netns.Same(home, netnstest.Here(t)) {
		t.Error("the caller was moved to another namespace")
	}
}

// Do needs no privilege, which a container might lack, if the process is in the
// namespace already.
func TestDoHereNeedsNoPrivilege(t *testing.T) {
	home := netnstest.Here(t)
	if os.Getuid() == 0 && os.Getenv("NETNS_NO_PRIVILEGE") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestDoHereNeedsNoPrivilege$")
		cmd.Env = append(os.Environ(), "NETNS_NO_PRIVILEGE=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	called := false
	if err := netns.Do(home, func() error { called = true; return nil }); err != nil || !called {
		t.Errorf("called %v, error %v, want true, nil", called, err)
	}
}

// With a file that is not a namespace, Do returns an error and does not call the
// function.
func TestDoRefusesOtherFiles(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := netns.Do(null, func() error { t.Error("the function was called"); return nil }); err == nil {
		t.Error("no error")
	}
}
