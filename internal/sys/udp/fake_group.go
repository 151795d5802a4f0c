package udp

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"wgd/internal/batch"
)

// TryRecv is Receiver's: a FakeConn lends no buffers, so it is its own.
func (c *FakeConn) TryRecv(bs []batch.Batch) (int, error) {
	if isClosed(c.closed) {
		return 0, os.ErrClosed
	}
	return c.drain(bs, 0)
}

// NewReceiver is Shareable's.
func (c *FakeConn) NewReceiver() Receiver { return c }

// NewSender is the conn itself, for it has no lock of its own.
func (c *FakeConn) NewSender() (Sender, error) { return c, nil }

// OpenSendSocket is MultiSocket's: what is sent is FakeConn's Send.
func (c *FakeConn) OpenSendSocket(SendOptions) (SendSocket, error) {
	if isClosed(c.closed) {
		return nil, os.ErrClosed
	}
	return &fakeSendSocket{conn: c, closed: make(chan struct{})}, nil
}

type fakeSendSocket struct {
	conn   *FakeConn
	once   sync.Once
	closed chan struct{}
}

func (s *fakeSendSocket) Send(b *batch.Batch) error {
	if isClosed(s.closed) {
		return os.ErrClosed
	}
	return s.conn.Send(b)
}

func (s *fakeSendSocket) Queued() (int, error) { return 0, nil }

func (s *fakeSendSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Wait looks again and again: a channel does not tell without being received from.
func (c *FakeConn) Wait() error {
	const pause = 50 * time.Microsecond
	for !isClosed(c.closed) {
		if len(c.queue) > 0 {
			return nil
		}
		time.Sleep(pause)
	}
	return os.ErrClosed
}

// Socket is MultiSocket's.
func (c *FakeConn) Socket(i int) Socket {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	if i == 0 {
		return c
	}
	return c.siblings[i-1]
}

// Sockets is how many there are.
func (c *FakeConn) Sockets() int {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	return 1 + len(c.siblings)
}

// SetSockets is MultiSocket's; what is lost with a socket is counted as dropped.
func (c *FakeConn) SetSockets(n int) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	switch {
	case n < 1:
		return errors.New("one socket stays")
	case isClosed(c.closed):
		return os.ErrClosed
	}
	for len(c.siblings) < n-1 {
		c.siblings = append(c.siblings, &FakeConn{
			host: c.host, local: c.local, caps: c.caps, queue: make(chan batch.Batch, cap(c.queue)), closed: make(chan struct{})})
	}
	for _, sibling := range c.siblings[n-1:] {
		close(sibling.closed)
		c.dropped += len(sibling.queue)
	}
	c.siblings = c.siblings[:n-1]
	c.toFirst = false
	return nil
}

// SteerToFirst is MultiSocket's.
func (c *FakeConn) SteerToFirst() bool {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.toFirst = true
	return true
}

// choose is the socket for what comes from an address and port. Locked by the caller.
func (c *FakeConn) choose(from netip.AddrPort) *FakeConn {
	if len(c.siblings) == 0 || c.toFirst {
		return c
	}
	sum := int(from.Port())
	for _, b := range from.Addr().As16() {
		sum = sum*31 + int(b)
	}
	if i := uint(sum) % uint(1+len(c.siblings)); i > 0 {
		return c.siblings[i-1]
	}
	return c
}
