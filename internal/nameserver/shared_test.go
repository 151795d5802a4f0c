//go:build linux

package nameserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// processOne makes the folder in /proc of a process that is in a network namespace, or in
// another one, and has this root.
func processOne(t *testing.T, otherNetns bool, root string) string {
	t.Helper()
	dir, netns := t.TempDir(), "/proc/thread-self/ns/net"
	if otherNetns {
		netns = "/proc/thread-self/ns/mnt" // is certainly another file
	}
	err := errors.Join(os.Mkdir(filepath.Join(dir, "ns"), 0o755), os.Symlink(netns, filepath.Join(dir, "ns", "net")),
		os.Symlink(root, filepath.Join(dir, "root")))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// In a network namespace with the same resolv.conf or the same records as the rest of the
// computer, the file is not changed, and nothing is left. With files of its own, or in the
// network namespace of the computer, it is.
func TestSharedFile(t *testing.T) {
	for _, kind := range kinds {
		s := newSettings(t, kind)
		before := state(t, s)
		other := t.TempDir() // has only the same records
		if err := errors.Join(os.MkdirAll(filepath.Join(other, filepath.Dir(s.dir)), 0o755), os.Symlink(s.dir, filepath.Join(other, s.dir))); err != nil {
			t.Fatal(err)
		}
		for _, root := range []string{"/", other} {
			s.first = processOne(t, true, root)
			if _, err := s.Set("wg0", dns("10.2.0.1")); !errors.Is(err, ErrShared) {
				t.Errorf("%s: Set returns %v, want ErrShared", kind, err)
			}
			if after := state(t, s); after != before {
				t.Errorf("%s: it became\n%swant\n%s", kind, after, before)
			}
			if r, err := s.load("wg0"); r != nil || err != nil {
				t.Errorf("%s: there is a record %v, %v", kind, r, err)
			}
		}
		for what, first := range map[string]string{
			"other files":               processOne(t, true, t.TempDir()),
			"the same namespace":        processOne(t, false, "/"),
			"nothing is known about it": t.TempDir(),
		} {
			s.first = first
			if _, err := s.Set("wg0", dns("10.2.0.1")); err != nil {
				t.Errorf("%s, %s: %v", kind, what, err)
			}
			if err := s.Unset("wg0"); err != nil {
				t.Errorf("%s, %s: %v", kind, what, err)
			}
		}
	}
}
