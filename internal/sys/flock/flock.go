// Package flock locks files with advisory locks, which the kernel releases when
// the holder ends, however it ends.
package flock

import (
	"errors"
	"os"
)

// ErrLocked is returned by Try if another process has the lock.
var ErrLocked = errors.New("it is locked")

// Exclusive opens the file, or creates it, and waits until it has locked it.
// Closing the file releases the lock.
func Exclusive(path string) (*os.File, error) { return open(path, true) }

// Try is Exclusive without waiting.
func Try(path string) (*os.File, error) { return open(path, false) }

// open opens and locks the file. The error is ErrLocked if another process has the
// lock and wait is false.
func open(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return nil, err
	}
	err = lock(f, wait)
	if err == nil {
		return f, nil
	}
	f.Close()
	if err == ErrLocked {
		return nil, err
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}
