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

// B52: a visit leaves no thread in a namespace, however it ends. The first thread
// of the process may be the visitor, and never ends.
func TestVisitsLeaveNoThreadBehind(t *testing.T) {
	netnstest.Isolate(t)
	ns := netnstest.Another(t)
	if err := netns.Do(ns, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := netns.Do(ns, func() error { return unix.EIO }); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
	if err := netns.Do(ns, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("a visit that broke off is no success")
	}
	if held := netnstest.Holders(t, ns); len(held) != 1 {
		t.Errorf("besides the test's own file these hold the namespace: %v", held)
	}
}

// The function runs in the namespace that is asked for, and the caller stays where
// it was.
func TestDoRunsInTheNamespace(t *testing.T) {
	netnstest.Isolate(t)
	home, other := netnstest.Here(t), netnstest.Another(t)
	for _, ns := range []*os.File{home, other, home} {
		var was *os.File
		if err := netns.Do(ns, func() (err error) { was, err = netns.Here(); return err }); err != nil {
			t.Fatal(err)
		}
		if !netns.Same(was, ns) {
			t.Error("it ran elsewhere")
		}
		was.Close()
	}
	if netns.Same(home, other) || !netns.Same(home, netnstest.Here(t)) {
		t.Error("the caller was moved")
	}
}

// To stay where the threads of the process are takes no privilege, which a
// container may not have.
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
		t.Error(called, err)
	}
}

// A file that is no namespace is an error, and the function is not called.
func TestDoRefusesOtherFiles(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := netns.Do(null, func() error { t.Error("called"); return nil }); err == nil {
		t.Error("no error")
	}
}
