// Package flock is an advisory lock on a file, which the kernel gives back
// when its holder ends, however it ends.
package flock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Exclusive opens (and makes) the file and waits until nobody else holds it.
// Closing the file gives it back.
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
