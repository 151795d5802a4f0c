// Package errno classifies errors of the kernel.
package errno

import (
	"errors"
	"io/fs"
	"syscall"
)

// Number returns the number of the kernel's error that err wraps, or 0.
func Number(err error) int {
	var n syscall.Errno
	if errors.As(err, &n) {
		return int(n)
	}
	return 0
}

// Name returns the name of the kernel's error that err wraps, such as EPERM, or "".
func Name(err error) string { return name(Number(err)) }

// PortTaken reports whether err means that the address of a socket is in use.
func PortTaken(err error) bool { return errors.Is(err, addressInUse) }

// NobodyListens reports whether err means that no process listens on a unix socket,
// whether its file exists or not.
func NobodyListens(err error) bool {
	return errors.Is(err, connectionRefused) || errors.Is(err, fs.ErrNotExist)
}

// FilesUsedUp reports whether err means that the process or the system has reached
// its limit of open files.
func FilesUsedUp(err error) bool {
	return errors.Is(err, processFilesUsedUp) || errors.Is(err, systemFilesUsedUp)
}

// NoRoom reports whether err means that a queue for sending is full.
func NoRoom(err error) bool { return errors.Is(err, noBuffers) }

// Forbidden reports whether err means that the address of a socket needs a permission, or
// that the system reserves it.
func Forbidden(err error) bool { return errors.Is(err, accessDenied) }

// NoFamily reports whether err means that the system has no addresses of a family.
func NoFamily(err error) bool {
	for _, number := range noFamily {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
