package udp

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptor is a socket on Go's poller, for reading: to send never waits there.
//
// The poller watches whatever it is given for both directions. A UDP socket
// becomes writable again with each datagram that has left it, so a program that
// sends would be woken by its own sends. Therefore the poller is not given the
// socket but an epoll descriptor in which the socket stands for reading only.
//
// The functions given to read and try are called with a descriptor that means
// nothing to them; they use fd. As long as one runs, the socket stays open.
type descriptor struct {
	fd    int
	epoll int
	file  *os.File // of epoll
	raw   syscall.RawConn
}

// newDescriptor takes the socket over, unless it fails.
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

// try calls f once, also while somebody else waits in read.
func (d *descriptor) try(f func(uintptr)) error { return d.raw.Control(f) }

// control calls f with the socket.
func (d *descriptor) control(f func(fd int)) error {
	return d.raw.Control(func(uintptr) { f(d.fd) })
}

// close ends all calls and waits for those under way, so that nobody can meet
// another file under the number of the socket.
func (d *descriptor) close() error {
	return errors.Join(d.file.Close(), unix.Close(d.fd))
}
