// Package flock locks files with advisory locks, which the kernel releases when
// the holder ends, however it ends.
package flock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by Try if another process has the lock.
var ErrLocked = errors.New("it is locked")

// Exclusive opens the file, or creates it, and waits until it has locked it.
// Closing the file releases the lock.
func Exclusive(path string) (*os.File, error) { return lock(path, unix.LOCK_EX) }

// Try is Exclusive without waiting.
func Try(path string) (*os.File, error) {
	f, err := lock(path, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return f, err
}

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if err != unix.EINTR {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
