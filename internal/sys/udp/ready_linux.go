package udp

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptor is a socket on Go's poller. It waits only for reading: sends do not wait.
//
// The poller watches every file for both directions. A UDP socket becomes writable again
// with each datagram that has left it, so a program that sends would be woken by its own
// sends. Therefore the poller gets an epoll descriptor, in which the socket is registered
// for reading only.
//
// The functions that are given to read and try must use fd and ignore their argument,
// which is the epoll descriptor. The socket stays open while such a function runs.
type descriptor struct {
	fd    int
	epoll int
	file  *os.File // of epoll
	raw   syscall.RawConn
}

// newDescriptor takes over the socket, except if it returns an error.
func newDescriptor(fd int) (*descriptor, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetNonblock(epoll, true), // else os.NewFile keeps it from the poller
		unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	d := &descriptor{fd: fd, epoll: epoll, file: os.NewFile(uintptr(epoll), "udp")}
	if d.raw, err = d.file.SyscallConn(); err != nil {
		d.file.Close()
		return nil, err
	}
	return d, nil
}

// read calls f, and again whenever the socket may have become readable, until it
// returns true.
func (d *descriptor) read(f func(uintptr) bool) error { return d.raw.Read(f) }

// try calls f once, also while another goroutine waits in read.
func (d *descriptor) try(f func(uintptr)) error { return d.raw.Control(f) }

// control calls f with the socket.
func (d *descriptor) control(f func(fd int)) error {
	return d.raw.Control(func(uintptr) { f(d.fd) })
}

// close ends all calls and waits until none runs, so that none can use the number of
// the socket when it belongs to another file.
func (d *descriptor) close() error {
	return errors.Join(d.file.Close(), unix.Close(d.fd))
}
