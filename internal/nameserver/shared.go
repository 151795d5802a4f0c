package nameserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrShared says why resolv.conf is not changed.
var ErrShared = errors.New("this network namespace shares files with another one, whose programs cannot reach these name servers: " +
	"write them to /etc/netns/NAME/resolv.conf, which `ip netns exec NAME` puts in the place of this file")

// shared returns ErrShared if process 1, and with it the rest of the computer, is in another
// network namespace, but uses the same resolv.conf, or the same records: they are about one
// file. Without the right to know, it returns nil.
func (s *Settings) shared() error {
	here, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return nil
	}
	there, err := os.Stat(filepath.Join(s.first, "ns", "net"))
	if err != nil || os.SameFile(here, there) {
		return nil
	}
	path := s.resolvConf
	if !exists(path) {
		path = filepath.Dir(path) // in which it would be made
	}
	if s.hasSame(path, os.Lstat) || s.hasSame(s.dir, os.Stat) {
		return fmt.Errorf("%s: %w", s.resolvConf, ErrShared)
	}
	return nil
}

// hasSame reports whether a path is the same file for process 1.
func (s *Settings) hasSame(path string, stat func(string) (os.FileInfo, error)) bool {
	ours, err := stat(path)
	if err != nil {
		return false
	}
	theirs, err := stat(filepath.Join(s.first, "root", path))
	return err == nil && os.SameFile(ours, theirs)
}
