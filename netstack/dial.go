package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

// DialContext connects to an address through the tunnel. The network is "tcp",
// "tcp4", "tcp6", "udp", "udp4" or "udp6". The address is HOST:PORT, where HOST
// is an IP address (IPv6 in brackets) or, if Options.NameServers is set, a name,
// and PORT is a number.
//
// If a name has several addresses, DialContext tries them in turn, and begins
// with the next one if a TCP connection is not established after 250 ms. It
// returns the first connection that is established.
//
// Its errors are of the type *net.OpError. They match (errors.Is) that of ctx if it
// was done, and net.ErrClosed if the stack was closed; if a name was not found, a
// *net.DNSError is in them.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, ok := splitName(address); ok {
		return s.dialName(ctx, network, host, port)
	}
	transport, to, err := parse(network, address)
	if err == nil {
		err = dialable(to.Addr())
	}
	if err == nil && s.isClosed() {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if transport == "udp" {
		conn, err := s.openUDP(nil, &to)
		return wrapResult(net.Conn(conn), s.because(err), "dial", network)
	}
	c, err := s.dialTCP(ctx, to)
	return wrapResult(net.Conn(c), s.because(err), "dial", network)
}

// because returns an error or, if the stack was closed, net.ErrClosed in its place.
func (s *Stack) because(err error) error {
	if err != nil && s.isClosed() {
		return net.ErrClosed
	}
	return err
}

// Dial is DialContext with context.Background.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// Listen listens for TCP connections from the tunnel. The network is "tcp",
// "tcp4" or "tcp6". The address is ADDRESS:PORT; :PORT means all IPv4 addresses
// of the stack, and [::]:PORT, or :PORT with "tcp6", all IPv6 addresses. PORT is a
// number; 0 means one that is free. Its errors are of the type *net.OpError.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	transport, at, err := parse(network, anyHost(network, address))
	if err == nil && transport != "tcp" {
		err = net.UnknownNetworkError(network)
	}
	if err == nil && s.isClosed() {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	listener, err := s.listenTCP(at)
	return wrapResult(net.Listener(listener), s.because(err), "listen", network)
}

// ListenPacket opens a UDP socket that receives and sends datagrams through the
// tunnel. The network is "udp", "udp4" or "udp6"; the address is as for Listen.
// The socket is for one address family, that of the address. Up to 1,024 received
// datagrams, of 212 KiB together, wait to be read; others are dropped. Its errors are
// of the type *net.OpError.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	transport, at, err := parse(network, anyHost(network, address))
	if err == nil && transport != "udp" {
		err = net.UnknownNetworkError(network)
	}
	if err == nil && s.isClosed() {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	conn, err := s.openUDP(&at, nil)
	return wrapResult(net.PacketConn(conn), s.because(err), "listen", network)
}

// wrapResult wraps an error like package net does. It returns a nil interface
// with it, where value is an interface with a nil pointer.
func wrapResult[I any](value I, err error, op, network string) (I, error) {
	if err != nil {
		var zero I
		return zero, &net.OpError{Op: op, Net: network, Err: err}
	}
	return value, nil
}

// parse parses the address, and checks that it belongs to the network.
func parse(network, address string) (transport string, to netip.AddrPort, err error) {
	transport, family, err := splitNetwork(network)
	if err != nil {
		return "", to, err
	}
	if to, err = netip.ParseAddrPort(address); err != nil {
		return "", to, fmt.Errorf("address %q: give ADDRESS:PORT, both as numbers", address)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if (family == "4" && !to.Addr().Is4()) || (family == "6" && !to.Addr().Is6()) {
		return "", to, fmt.Errorf("address %q is not an IPv%s address, as network %q requires", address, family, network)
	}
	return transport, to, nil
}

// splitNetwork returns the transport of a network, and "4", "6" or "" for both.
func splitNetwork(network string) (transport, family string, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		return network[:3], network[3:], nil
	}
	return "", "", net.UnknownNetworkError(network)
}

// anyHost completes :PORT with the unspecified address of the network's family.
func anyHost(network, address string) string {
	switch {
	case !strings.HasPrefix(address, ":"):
		return address
	case strings.HasSuffix(network, "6"):
		return "[::]" + address
	}
	return "0.0.0.0" + address
}

// fullAddress converts an address for the stack, in which an unspecified one is
// empty.
func fullAddress(a netip.AddrPort) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	full := tcpip.FullAddress{NIC: nic, Port: a.Port()}
	if !a.Addr().IsUnspecified() {
		full.Addr = tcpip.AddrFromSlice(a.Addr().AsSlice())
	}
	if a.Addr().Is4() {
		return full, ipv4.ProtocolNumber
	}
	return full, ipv6.ProtocolNumber
}
