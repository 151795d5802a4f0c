//go:build unix

package errno

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	addressInUse       = unix.EADDRINUSE
	connectionRefused  = unix.ECONNREFUSED
	processFilesUsedUp = unix.EMFILE
	systemFilesUsedUp  = unix.ENFILE
	noBuffers          = unix.ENOBUFS
	accessDenied       = unix.EACCES
)

var noFamily = []error{unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EADDRNOTAVAIL}

func name(number int) string { return unix.ErrnoName(syscall.Errno(number)) }
