package netnstest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
)

// Isolate moves the calling test into a new network namespace, which has only a
// loopback interface that is down. The thread stays locked to the test and ends with
// it. Without the permission, the test is skipped, or fails in CI.
func Isolate(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	unshare(t)
}

// Another makes one more namespace and returns its file, which is closed at the
// end of the test. The calling thread, which must be locked, stays in its namespace.
func Another(t testing.TB) *os.File {
	t.Helper()
	home := Here(t)
	unshare(t)
	ns := Here(t)
	Enter(t, home)
	return ns
}

// Here returns the namespace of the calling thread. Its file is closed at the end of
// the test.
func Here(t testing.TB) *os.File {
	t.Helper()
	ns, err := netns.Here()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// Enter moves the calling thread, which must be locked, into ns.
func Enter(t testing.TB, ns *os.File) {
	t.Helper()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

func unshare(t testing.TB) {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		LeaveOut(t, "a network namespace of its own, and so root", err)
	}
}

// LeaveOut skips the test because something that it needs is missing. In CI, where
// all tests have to run, it fails the test.
func LeaveOut(t testing.TB, needs string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s needs %s: %v", t.Name(), needs, err)
	}
	t.Skipf("NOT TESTED: %s needs %s: %v", t.Name(), needs, err)
}

// Holders returns the files and threads of this process that keep ns alive.
func Holders(t testing.TB, ns *os.File) (held []string) {
	t.Helper()
	want, err := ns.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"/proc/self/fd/*", "/proc/self/task/*/ns/net"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			if is, err := os.Stat(file); err == nil && os.SameFile(is, want) {
				held = append(held, file)
			}
		}
	}
	return held
}
