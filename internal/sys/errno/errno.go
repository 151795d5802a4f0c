// Package errno tells the kernel's errors by number.
package errno

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Number is the errno inside err, or 0.
func Number(err error) int {
	var n unix.Errno
	if errors.As(err, &n) {
		return int(n)
	}
	return 0
}

// PortTaken reports whether the address of a socket was in use.
func PortTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// NobodyListens reports whether a unix socket's file is there, or not even
// that, but no process behind it.
func NobodyListens(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// FilesUsedUp reports whether the process or the system has all the files open
// that it may have.
func FilesUsedUp(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }
