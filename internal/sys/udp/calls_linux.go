package udp

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr: a message, and how many bytes of it were transferred.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// calls are the system calls of a socket. None of them waits. Tests replace them to
// simulate rare results.
type calls struct {
	recvmsg  func(fd uintptr, h *unix.Msghdr) (n int, errno syscall.Errno)
	recvmmsg func(fd uintptr, hs []mmsghdr) (count int, errno syscall.Errno)
	sendmsg  func(fd uintptr, h *unix.Msghdr) (n int, errno syscall.Errno)
	sendmmsg func(fd uintptr, hs []mmsghdr) (count int, errno syscall.Errno)
	queued   func(fd uintptr) int // bytes sent that have not left yet

	now   func() time.Duration // since a fixed moment
	sleep func(time.Duration)
}

var kernel = calls{recvmsg, recvmmsg, sendmsg, sendmmsg, queued, sinceStart, time.Sleep}

var started = time.Now()

func sinceStart() time.Duration { return time.Since(started) }

func recvmsg(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
	return int(n), errno
}

func recvmmsg(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&hs[0])), uintptr(len(hs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func sendmsg(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
	return int(n), errno
}

func sendmmsg(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&hs[0])), uintptr(len(hs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func queued(fd uintptr) int {
	var n int32
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0
	}
	return int(n)
}
