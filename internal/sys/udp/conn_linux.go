package udp

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// conn is a UDP socket on Go's poller. A call is one raw system call that
// never sleeps, made by a callback that was allocated once; everything the
// kernel reads or writes lies in the conn or in a receiver.
type conn struct {
	socket *descriptor
	v4     bool
	caps   Caps
	gso    atomic.Bool
	mark   atomic.Uint32
	closed atomic.Bool
	calls  calls

	rx *receiver // of Recv

	sending sync.Mutex
	tx      sender
	onSend  func(uintptr) bool
	onPlain func(uintptr) bool
}

func newConn(fd int, v4 bool, mark uint32, caps Caps) (*conn, error) {
	c := &conn{v4: v4, caps: caps, calls: kernel}
	c.gso.Store(caps.GSO)
	c.mark.Store(mark)
	c.onSend, c.onPlain = c.sendNow, c.plainNow
	c.rx = newReceiver(c)
	c.tx.init()
	socket, err := newDescriptor(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot wait for a UDP socket: %w", err)
	}
	c.socket = socket
	return c, nil
}

func (c *conn) Recv(bs []batch.Batch) (int, error) { return c.rx.Recv(bs) }

func (c *conn) NewReceiver() Receiver { return newReceiver(c) }

func (c *conn) pollError(err error) error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (c *conn) Caps() Caps {
	caps := c.caps
	caps.GSO = c.gso.Load()
	return caps
}

func (c *conn) SetMark(mark uint32) error {
	if c.mark.Load() == mark {
		return nil // so that 0 needs no privilege
	}
	c.Forget() // another mark is another route
	err := os.ErrClosed
	if poll := c.socket.control(func(fd int) { err = setMark(fd, mark) }); poll != nil {
		return c.pollError(poll)
	}
	if err == nil {
		c.mark.Store(mark)
	}
	return err
}

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.socket.close()
}

// port is the one the socket is bound to.
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
