// Package flock locks files with advisory locks, which the kernel releases when
// the holder ends, however it ends.
package flock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Exclusive opens the file, or creates it, and waits until it has locked it.
// Closing the file releases the lock.
func Exclusive(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if err != unix.EINTR {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
