package netstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// maxBacklog is how many connections wait for Accept.
const maxBacklog = 4096

// A tcpConn is a connection whose addresses stay known after its end, and whose
// methods return net.ErrClosed after Close.
type tcpConn struct {
	*gonet.TCPConn
	closable
	local, remote net.Addr
	endpoint      tcpip.Endpoint // of the TCPConn, as queue is
	queue         *waiter.Queue
	writing       sync.Mutex
}

func (d *device) newTCPConn(queue *waiter.Queue, ep tcpip.Endpoint) *tcpConn {
	c := gonet.NewTCPConn(queue, ep)
	return &tcpConn{
		TCPConn: c, closable: closable{device: d}, local: c.LocalAddr(), remote: c.RemoteAddr(),
		endpoint: ep, queue: queue,
	}
}

// dialTCP connects to an address.
func (s *Stack) dialTCP(ctx context.Context, to netip.AddrPort) (*tcpConn, error) {
	full, protocol := fullAddress(to)
	queue := new(waiter.Queue)
	ep, failure := s.stack.NewEndpoint(tcp.ProtocolNumber, protocol, queue)
	if failure != nil {
		return nil, errors.New(failure.String())
	}
	entry, changed := waiter.NewChannelEntry(waiter.WritableEvents)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	err := ctx.Err()
	if err == nil {
		failure = ep.Connect(full)
	}
	if _, started := failure.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			err, failure = ctx.Err(), nil
		case <-changed:
			failure = ep.LastError()
		}
	}
	address := net.TCPAddrFromAddrPort(to)
	if failure != nil {
		err = &net.OpError{Op: "connect", Net: "tcp", Addr: address, Err: errors.New(failure.String())}
	}
	if err != nil {
		ep.Close()
		return nil, err
	}
	c := s.newTCPConn(queue, ep)
	c.remote = address // it may be reset already
	return c, nil
}

func (c *tcpConn) LocalAddr() net.Addr  { return c.local }
func (c *tcpConn) RemoteAddr() net.Addr { return c.remote }

func (c *tcpConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	return n, c.failed("read", err)
}

func (c *tcpConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.TCPConn.Write(b)
	return n, c.failed("write", err)
}

// WriteFrom writes the r.Len() bytes that r has. They are read directly into the memory
// from which they are sent, which saves the copy that Write makes. An error of r ends it,
// and so does Close, but no deadline; io.EOF before the last byte is not allowed. After an
// error, what was read from r may be lost.
func (c *tcpConn) WriteFrom(r interface {
	io.Reader
	Len() int
}) error {
	c.writing.Lock() // the endpoint drops what is read while another Write takes the room
	defer c.writing.Unlock()
	var entry waiter.Entry
	var writable chan struct{} // nil: not registered
	for r.Len() > 0 {
		_, failure := c.endpoint.Write(r, tcpip.WriteOptions{})
		if failure == nil {
			continue
		}
		if _, full := failure.(*tcpip.ErrWouldBlock); !full {
			return c.failed("write", &net.OpError{Op: "write", Net: "tcp", Source: c.local, Addr: c.remote, Err: errors.New(failure.String())})
		}
		if writable == nil { // there may be room since Write: try again before waiting
			entry, writable = waiter.NewChannelEntry(waiter.WritableEvents)
			c.queue.EventRegister(&entry)
			defer c.queue.EventUnregister(&entry)
			continue
		}
		<-writable
	}
	return nil
}

func (c *tcpConn) Close() error {
	if c.closed.Swap(true) {
		return c.failed("close", net.ErrClosed)
	}
	return c.TCPConn.Close()
}

// failed returns the error of an operation: after Close, it is net.ErrClosed.
func (c *tcpConn) failed(op string, err error) error {
	if err == nil || !c.isClosed() {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: net.ErrClosed}
}

// A listener returns connections of type tcpConn, and net.ErrClosed after Close.
type listener struct {
	closable
	endpoint tcpip.Endpoint
	queue    *waiter.Queue
	addr     net.Addr
}

func (s *Stack) listenTCP(at netip.AddrPort) (*listener, error) {
	full, protocol := fullAddress(at)
	queue := new(waiter.Queue)
	ep, failure := s.stack.NewEndpoint(tcp.ProtocolNumber, protocol, queue)
	if failure != nil {
		return nil, errors.New(failure.String())
	}
	options := ep.SocketOptions()
	options.SetReuseAddress(true) // not only after the last connection's TIME-WAIT
	options.SetV6Only(true)
	if failure = ep.Bind(full); failure == nil {
		failure = ep.Listen(maxBacklog)
	}
	if failure == nil {
		full, failure = ep.GetLocalAddress()
	}
	if failure != nil {
		ep.Close()
		return nil, errors.New(failure.String())
	}
	addr := &net.TCPAddr{IP: full.Addr.AsSlice(), Port: int(full.Port)}
	return &listener{closable: closable{device: s.device}, endpoint: ep, queue: queue, addr: addr}, nil
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Accept() (net.Conn, error) {
	entry, changed := waiter.NewChannelEntry(waiter.ReadableEvents)
	l.queue.EventRegister(&entry)
	defer l.queue.EventUnregister(&entry)
	for {
		ep, queue, failure := l.endpoint.Accept(nil)
		if failure == nil {
			c := l.device.newTCPConn(queue, ep)
			if c.remote != nil && !l.isClosed() {
				return c, nil
			}
			c.Close() // it was reset before it was accepted
		}
		if l.isClosed() {
			return nil, l.failed("accept", net.ErrClosed)
		}
		switch failure.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			<-changed
		default:
			return nil, l.failed("accept", errors.New(failure.String()))
		}
	}
}

func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return l.failed("close", net.ErrClosed)
	}
	l.endpoint.Close()
	return nil
}

func (l *listener) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.addr, Err: err}
}
