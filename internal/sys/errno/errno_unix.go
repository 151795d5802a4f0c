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
)

func name(number int) string { return unix.ErrnoName(syscall.Errno(number)) }
