package netstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// Resolver returns a resolver for code that needs one of package net, and for
// records that LookupNetIP does not return, such as SRV and TXT. It queries the
// servers in Options.NameServers, through the tunnel, and no others. One that does
// not answer is followed by the next one in the next query.
//
// Package net still reads files of this computer: it prefers what /etc/hosts says
// about a host, appends the domains of /etc/resolv.conf (not Options.Search) to
// names, takes timeouts from there, and names a server from there in errors. A
// name with a final dot is not changed.
// LookupNetIP, LookupHost and DialContext read no files: prefer them.
func (s *Stack) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.names.dial(ctx, s, network)
	}}
}

// dial connects to the current name server. Package net passes the network "udp"
// or "tcp" and a server of /etc/resolv.conf, which is ignored.
func (n *names) dial(ctx context.Context, s *Stack, network string) (net.Conn, error) {
	if len(n.servers) == 0 {
		return nil, errNoNameServers
	}
	if err := ctx.Err(); err != nil { // package net tries again after the caller's deadline
		return nil, err
	}
	n.mu.Lock()
	current := n.current
	n.mu.Unlock()
	deadline, limited := ctx.Deadline()
	short := limited && time.Until(deadline) < answerTime
	conn, err := s.DialContext(ctx, network, netip.AddrPortFrom(n.servers[current], dnsPort).String())
	watched := watchedConn{conn, n, current, ctx, short}
	if err != nil {
		watched.failed(err)
		return nil, err
	}
	if packets, ok := conn.(net.PacketConn); ok { // package net decides by it how to frame messages
		return watchedPacketConn{watched, packets}, nil
	}
	return watched, nil
}

// replace makes the next server the current one, unless another query has done
// so.
func (n *names) replace(failed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == failed {
		n.current = (failed + 1) % len(n.servers)
	}
}

// A server that has not answered after answerTime may be down. A caller that waits
// for a shorter time learns nothing about the server.
const answerTime = 500 * time.Millisecond

// A watchedConn is a connection to a name server. It replaces the server when no
// answer arrives.
type watchedConn struct {
	net.Conn
	names  *names
	server int
	ctx    context.Context // of the query
	short  bool            // the query ends before answerTime is over
}

func (c watchedConn) Read(b []byte) (n int, err error) {
	n, err = c.Conn.Read(b)
	c.failed(err)
	return n, err
}

// failed replaces the server if an error is due to the server, and not to the caller:
// it closed the connection, canceled the query, or set an early deadline.
func (c watchedConn) failed(err error) {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil, errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed):
	case errors.Is(c.ctx.Err(), context.Canceled):
	case errors.As(err, &timeout) && timeout.Timeout() && c.short:
	default:
		c.names.replace(c.server)
	}
}

// A watchedPacketConn is a watchedConn that carries datagrams.
type watchedPacketConn struct {
	watchedConn
	packets net.PacketConn
}

func (c watchedPacketConn) ReadFrom(b []byte) (int, net.Addr, error) { return c.packets.ReadFrom(b) }

func (c watchedPacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	return c.packets.WriteTo(b, to)
}
