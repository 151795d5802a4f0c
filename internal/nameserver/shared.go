package nameserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrShared says why resolv.conf is not changed.
var ErrShared = errors.New("programs in other network namespaces use this file too, and cannot reach these name servers: " +
	"give this one a file of its own, which is /etc/netns/NAME/resolv.conf for `ip netns exec NAME`")

// shared returns ErrShared if process 1, and with it the rest of the computer, uses the same
// resolv.conf, but another network namespace. Without the right to know, it returns nil.
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
	ours, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	theirs, err := os.Lstat(filepath.Join(s.first, "root", path))
	if err != nil || !os.SameFile(ours, theirs) {
		return nil
	}
	return fmt.Errorf("%s: %w", s.resolvConf, ErrShared)
}
