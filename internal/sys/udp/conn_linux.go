package udp

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// conn is a UDP socket on Go's poller. A call is one raw system call that
// never sleeps, made by a callback that was allocated once; everything the
// kernel reads or writes lies in the conn or in slots that it holds.
type conn struct {
	file   *os.File
	raw    syscall.RawConn
	v4     bool
	caps   Caps
	gso    atomic.Bool
	mark   atomic.Uint32
	closed atomic.Bool
	calls  calls

	rx *receiver // of Recv

	sending sync.Mutex
	tx      sender
	onSend  func(fd uintptr) bool
	onPlain func(fd uintptr) bool
}

func newConn(fd int, v4 bool, mark uint32, caps Caps) (*conn, error) {
	c := &conn{v4: v4, caps: caps, calls: kernel}
	c.gso.Store(caps.GSO)
	c.mark.Store(mark)
	c.onSend, c.onPlain = c.sendNow, c.plainNow
	c.rx = newReceiver(c)
	c.tx.init()
	file := os.NewFile(uintptr(fd), "udp")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	c.file, c.raw = file, raw
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
	if poll := c.raw.Control(func(fd uintptr) { err = setMark(int(fd), mark) }); poll != nil {
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
	return c.file.Close()
}

// port is the one the socket is bound to.
func (c *conn) port() (port uint16, err error) {
	poll := c.raw.Control(func(fd uintptr) {
		var local unix.Sockaddr
		switch local, err = unix.Getsockname(int(fd)); a := local.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
	})
	return port, errors.Join(poll, err)
}
