package netstack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A closable says whether something was closed, by itself or with the stack.
type closable struct {
	closed atomic.Bool
	device *device
}

func (c *closable) isClosed() bool { return c.closed.Load() || c.device.isClosed() }

// A udpConn is a UDP socket of one address family.
type udpConn struct {
	*gonet.UDPConn
	closable
	local net.Addr
	is4   bool
}

// openUDP opens a socket, bound to a local address or connected to a remote one.
func (s *Stack) openUDP(local, remote *netip.AddrPort) (*udpConn, error) {
	bound := local
	if bound == nil {
		bound = remote
	}
	full, protocol := fullAddress(*bound)
	queue := new(waiter.Queue)
	ep, failure := s.stack.NewEndpoint(udp.ProtocolNumber, protocol, queue)
	if failure != nil {
		return nil, errors.New(failure.String())
	}
	ep.SocketOptions().SetV6Only(true)
	// With DF, the stack would give all datagrams that it fragments itself the ID 0:
	// after one lost fragment, those of different datagrams are mixed up.
	failure = ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(tcpip.PMTUDiscoveryDont))
	switch {
	case failure != nil:
	case local != nil:
		failure = ep.Bind(full)
	default:
		failure = ep.Connect(full)
	}
	var limited *udpEndpoint
	if failure == nil {
		limited, failure = limitDatagrams(s.stack, ep, protocol)
	}
	if failure != nil {
		ep.Close()
		return nil, errors.New(failure.String())
	}
	if remote != nil { // a Read waits for data only: wake it for an ICMP error too
		entry := waiter.NewFunctionEntry(waiter.EventErr, func(waiter.EventMask) {
			go queue.Notify(waiter.ReadableEvents) // not in the notification, which holds a lock
		})
		queue.EventRegister(&entry)
	}
	c := gonet.NewUDPConn(queue, limited)
	return &udpConn{UDPConn: c, closable: closable{device: s.device}, local: c.LocalAddr(), is4: protocol == ipv4.ProtocolNumber}, nil
}

func (c *udpConn) LocalAddr() net.Addr { return c.local }

func (c *udpConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	return n, c.failed("read", err)
}

func (c *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.UDPConn.ReadFrom(b)
	return n, from, c.failed("read", err)
}

func (c *udpConn) Write(b []byte) (int, error) {
	n, err := c.UDPConn.Write(b)
	return n, c.failed("write", err)
}

// WriteTo sends a datagram. The address is a *net.UDPAddr of the socket's family.
func (c *udpConn) WriteTo(b []byte, to net.Addr) (int, error) {
	address, ok := to.(*net.UDPAddr)
	if !ok || address == nil {
		return 0, c.failed("write", c.refused(to, "give a *net.UDPAddr"))
	}
	at := address.AddrPort()
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if !at.Addr().IsValid() || at.Addr().Is4() != c.is4 {
		family := map[bool]string{true: "IPv4", false: "IPv6"}[c.is4]
		return 0, c.failed("write", c.refused(to, "the socket is for "+family+": give an address of that family, or open another socket"))
	}
	if err := dialable(at.Addr()); err != nil {
		return 0, c.failed("write", c.refused(to, err.Error()))
	}
	n, err := c.UDPConn.WriteTo(b, &net.UDPAddr{IP: at.Addr().AsSlice(), Port: int(at.Port())})
	return n, c.failed("write", err)
}

func (c *udpConn) refused(to net.Addr, why string) error {
	return &net.OpError{Op: "write", Net: "udp", Source: c.local, Addr: to, Err: errors.New(why)}
}

func (c *udpConn) Close() error {
	if c.closed.Swap(true) {
		return c.failed("close", net.ErrClosed)
	}
	return c.UDPConn.Close()
}

// failed returns the error of an operation: after Close, it is net.ErrClosed.
func (c *udpConn) failed(op string, err error) error {
	if err == nil || !c.isClosed() {
		return err
	}
	return &net.OpError{Op: op, Net: "udp", Source: c.local, Err: net.ErrClosed}
}

// dialable returns an error for an address that is not behind the tunnel but means
// this host.
func dialable(to netip.Addr) error {
	if to.IsLoopback() || to.IsUnspecified() {
		return fmt.Errorf("%v means this host: give an address inside the tunnel", to)
	}
	return nil
}
