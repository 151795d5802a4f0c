// Package errno classifies errors of the kernel.
package errno

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Number returns the errno that err wraps, or 0.
func Number(err error) int {
	var n unix.Errno
	if errors.As(err, &n) {
		return int(n)
	}
	return 0
}

// Name returns the name of the errno that err wraps, such as EPERM, or "".
func Name(err error) string { return unix.ErrnoName(unix.Errno(Number(err))) }

// PortTaken reports whether err means that the address of a socket is in use.
func PortTaken(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

// NobodyListens reports whether err means that no process listens on a unix socket,
// whether its file exists or not.
func NobodyListens(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// FilesUsedUp reports whether err means that the process or the system has reached
// its limit of open files.
func FilesUsedUp(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }
