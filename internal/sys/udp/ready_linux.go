package udp

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptor is a socket on Go's poller, each direction by itself.
//
// The poller watches whatever it is given for both directions. A UDP socket
// becomes writable again with each datagram that has left it, so a program that
// sends would be woken by its own sends, though hardly ever anybody waits to
// write. Therefore the poller is not given the socket but two epoll descriptors:
// one in which the socket stands for reading, and one in which it stands for
// writing only while somebody waits for that.
//
// The functions given to read and write are called with a descriptor that means
// nothing to them; they use fd. As long as one runs, the socket stays open.
type descriptor struct {
	fd  int
	in  watch
	out watch

	mu     sync.Mutex
	more   []*watch // for writing, one for each sender but the first
	closed bool
}

// watch is an epoll descriptor on Go's poller.
type watch struct {
	epoll int
	file  *os.File
	raw   syscall.RawConn
}

// newDescriptor takes the socket over, unless it fails.
func newDescriptor(fd int) (*descriptor, error) {
	in, err := newWatch(fd, unix.EPOLLIN)
	if err != nil {
		return nil, err
	}
	out, err := newWatch(fd, unix.EPOLLONESHOT)
	if err != nil {
		in.file.Close()
		return nil, err
	}
	return &descriptor{fd: fd, in: in, out: out}, nil
}

func newWatch(fd int, events uint32) (w watch, err error) {
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return watch{}, err
	}
	err = errors.Join(
		unix.SetNonblock(w.epoll, true), // else os.NewFile keeps it from the poller
		unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events}))
	if err != nil {
		unix.Close(w.epoll)
		return watch{}, err
	}
	w.file = os.NewFile(uintptr(w.epoll), "udp")
	w.raw, err = w.file.SyscallConn()
	return w, err
}

// read calls f, and again whenever the socket may have become readable, until it
// returns true.
func (d *descriptor) read(f func(uintptr) bool) error { return d.in.raw.Read(f) }

// try calls f once, also while somebody else waits in read.
func (d *descriptor) try(f func(uintptr)) error { return d.in.raw.Control(f) }

// write calls f, and again whenever the socket has become writable after
// blocked, until it returns true. An f that returns false calls blocked before.
func (w *watch) write(f func(uintptr) bool) error { return w.raw.Read(f) }

// blocked has the next writability reported, also if it is there already. What
// was reported before is taken away, for nothing is reported twice.
func (d *descriptor) blocked(out *watch) {
	var old [1]unix.EpollEvent
	unix.EpollWait(out.epoll, old[:], 0)
	unix.EpollCtl(out.epoll, unix.EPOLL_CTL_MOD, d.fd, &unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT})
}

// another is one more watch for writing.
func (d *descriptor) another() (*watch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, os.ErrClosed
	}
	w, err := newWatch(d.fd, unix.EPOLLONESHOT)
	if err != nil {
		return nil, err
	}
	d.more = append(d.more, &w)
	return &w, nil
}

// control calls f with the socket.
func (d *descriptor) control(f func(fd int)) error {
	return d.in.raw.Control(func(uintptr) { f(d.fd) })
}

// close ends all calls and waits for those under way, so that nobody can meet
// another file under the number of the socket.
func (d *descriptor) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	errs := []error{d.in.file.Close(), d.out.file.Close()}
	for _, w := range d.more {
		errs = append(errs, w.file.Close())
	}
	return errors.Join(append(errs, unix.Close(d.fd))...)
}
