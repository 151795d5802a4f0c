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
	err = lock(f, false, wait)
	if err == nil {
		return f, nil
	}
	f.Close()
	if err == ErrLocked {
		return nil, err
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// TryOpen locks a file that is open, without waiting. Closing it releases the lock.
func TryOpen(f *os.File) error { return lock(f, false, false) }

// Held reports whether another open file has locked this file, which may be open for
// reading only. For a moment it has a shared lock itself, so that TryOpen may fail.
func Held(f *os.File) (bool, error) {
	switch err := lock(f, true, false); err {
	case nil:
		return false, unlock(f)
	case ErrLocked:
		return true, nil
	default:
		return false, err
	}
}

// A Temporary is a lock whose file exists only while it is held.
type Temporary struct{ file *os.File }

// ExclusiveTemporary is Exclusive with a file that Close removes.
func ExclusiveTemporary(path string) (*Temporary, error) { return temporary(path, true) }

// TryTemporary is ExclusiveTemporary without waiting.
func TryTemporary(path string) (*Temporary, error) { return temporary(path, false) }

func temporary(path string, wait bool) (*Temporary, error) {
	for {
		f, err := open(path, wait)
		if err != nil {
			return nil, err
		}
		// The file may have been removed between opening and locking it.
		locked, err := f.Stat()
		if err == nil {
			if now, err := os.Lstat(path); err == nil && os.SameFile(locked, now) {
				return &Temporary{f}, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// Close removes the file and releases the lock.
func (t *Temporary) Close() error {
	// Before the lock is released, or else it might be another holder's file. Where an
	// open file cannot be removed, it stays, which does no harm.
	_ = os.Remove(t.file.Name())
	return t.file.Close()
}
