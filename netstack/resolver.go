package netstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
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
	n.mu.Lock()
	current := n.current
	n.mu.Unlock()
	conn, err := s.DialContext(ctx, network, netip.AddrPortFrom(n.servers[current], dnsPort).String())
	if err != nil {
		n.replace(current)
		return nil, err
	}
	watched := watchedConn{conn, n, current}
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

// A watchedConn is a connection to a name server. It replaces the server when no
// answer arrives.
type watchedConn struct {
	net.Conn
	names  *names
	server int
}

func (c watchedConn) Read(b []byte) (n int, err error) {
	n, err = c.Conn.Read(b)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		c.names.replace(c.server)
	}
	return n, err
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
