package udp

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// conn is a UDP socket on Go's poller. The first one of a family is also the Group.
// Each call is one raw system call that never sleeps, made by a callback that was
// allocated once. Everything the kernel reads or writes lies in a sender or a
// receiver.
type conn struct {
	socket  *descriptor
	v4      bool
	options Options
	caps    Caps
	mark    atomic.Uint32
	closed  atomic.Bool
	calls   calls

	tx         *sender // of Send
	urgent     *sender // for everything except data, shared by all Senders
	slow       slowSockets
	noFragment atomic.Pointer[sendSocket] // sets DF; nil: not opened yet
	retry      atomic.Int64               // when noFragment may be opened again after a failure

	// forgets is the number of calls of Forget.
	forgets atomic.Uint32

	group group // in the first socket: all other sockets

	// In a sendSocket: the first socket, and its options.
	first       *conn
	sendOptions sendOptions

	poll   unix.PollFd // for Wait
	onWait func(uintptr) bool
}

func newConn(fd int, v4 bool, o Options, caps Caps) (*conn, error) {
	c := &conn{v4: v4, options: o, caps: caps, calls: kernel}
	c.mark.Store(o.Mark)
	c.onWait = c.readable
	socket, err := newDescriptor(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot wait for a UDP socket: %w", err)
	}
	c.socket = socket
	c.tx, c.urgent = newSender(c), newSender(c)
	c.slow.shared = c
	return c, nil
}

// capacity returns the kernel's limit for the queue: twice the buffer size that it
// granted, which is never less than about 2 KB.
func (c *conn) capacity() capacity { return capacity(2 * max(c.caps.SendBuffer, 2<<10)) }

func (c *conn) NewReceiver() Receiver { return newReceiver(c) }

func (c *conn) Send(b *batch.Batch) error { return c.tx.Send(b) }

func (c *conn) NewSender() Sender { return newSender(c) }

// Forget applies to all sockets of the Group that send.
func (c *conn) Forget() {
	c.group.mu.Lock()
	list := slices.Clone(c.group.sendSockets)
	c.group.mu.Unlock()
	c.forget()
	for _, s := range list {
		s.conn.forget()
	}
}

func (c *conn) forget() {
	c.slow.clear()
	c.forgets.Add(1)
}

func (c *conn) Wait() error {
	if err := c.socket.read(c.onWait); err != nil {
		return c.pollError(err)
	}
	return nil
}

// readable reports whether a receive would not wait.
func (c *conn) readable(uintptr) bool {
	var atOnce unix.Timespec
	c.poll = unix.PollFd{Fd: int32(c.socket.fd), Events: unix.POLLIN}
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&c.poll)), 1, uintptr(unsafe.Pointer(&atOnce)), 0, 0, 0)
	return errno == 0 && n > 0
}

func (c *conn) pollError(err error) error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (c *conn) Caps() Caps { return c.caps }

// SetMark applies to all sockets of the Group.
func (c *conn) SetMark(mark uint32) error {
	if c.mark.Load() != mark {
		c.Forget() // routes may depend on the mark
	}
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	err := c.setMark(mark)
	for _, s := range c.group.siblings {
		err = errors.Join(err, s.setMark(mark))
	}
	for _, s := range c.group.sendSockets {
		err = errors.Join(err, s.conn.setMark(mark))
	}
	return err
}

func (c *conn) setMark(mark uint32) error {
	if c.mark.Load() == mark {
		return nil // 0, the default, needs no privilege
	}
	err := os.ErrClosed
	if poll := c.socket.control(func(fd int) { err = setMark(fd, mark) }); poll != nil {
		return c.pollError(poll)
	}
	if err == nil {
		c.mark.Store(mark)
	}
	return err
}

// Close closes the other sockets of the Group, then this one.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	err := c.group.close()
	c.slow.clear()
	return errors.Join(err, c.socket.close())
}

// port returns the port that the socket is bound to.
func (c *conn) port() (port uint16, err error) {
	poll := c.socket.control(func(fd int) {
		var local unix.Sockaddr
		switch local, err = unix.Getsockname(fd); a := local.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
	})
	return port, errors.Join(poll, err)
}
