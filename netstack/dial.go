package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

// DialContext connects through the tunnel. The network is "tcp" or "udp", or
// one of these with a 4 or 6; the address is ADDRESS:PORT. Names are not
// resolved: the stack knows no name server.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	transport, to, err := parse(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	full, protocol := fullAddress(to)
	if transport == "udp" {
		conn, err := gonet.DialUDP(s.stack, nil, &full, protocol)
		return dialResult(net.Conn(conn), err, "dial", network)
	}
	conn, err := gonet.DialContextTCP(ctx, s.stack, full, protocol)
	return dialResult(net.Conn(conn), err, "dial", network)
}

// Dial is DialContext without a limit.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// Listen accepts TCP connections that come through the tunnel. An address that
// is only :PORT is every IPv4 address of the stack, [::]:PORT every IPv6 one.
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	transport, at, err := parse(network, anyHost(address))
	if err == nil && transport != "tcp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	full, protocol := fullAddress(at)
	listener, err := gonet.ListenTCP(s.stack, full, protocol)
	return dialResult(net.Listener(listener), err, "listen", network)
}

// ListenPacket receives and sends UDP datagrams through the tunnel.
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	transport, at, err := parse(network, anyHost(address))
	if err == nil && transport != "udp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	full, protocol := fullAddress(at)
	conn, err := gonet.DialUDP(s.stack, &full, nil, protocol)
	return dialResult(net.PacketConn(conn), err, "listen", network)
}

// dialResult gives an error the form of package net's, and keeps the nil pointer
// that comes with it from becoming an interface that is not nil.
func dialResult[I any](value I, err error, op, network string) (I, error) {
	if err != nil {
		var none I
		return none, &net.OpError{Op: op, Net: network, Err: err}
	}
	return value, nil
}

// parse splits "tcp4" into the transport and the family that it asks for.
func parse(network, address string) (transport string, to netip.AddrPort, err error) {
	transport = strings.TrimRight(network, "46")
	if transport != "tcp" && transport != "udp" {
		return "", to, net.UnknownNetworkError(network)
	}
	if to, err = netip.ParseAddrPort(address); err != nil {
		return "", to, fmt.Errorf("address %q: give ADDRESS:PORT, with a number for both", address)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	family := network[len(transport):]
	if (family == "4" && !to.Addr().Is4()) || (family == "6" && !to.Addr().Is6()) {
		return "", to, fmt.Errorf("address %q is not of IPv%s", address, family)
	}
	return transport, to, nil
}

func anyHost(address string) string {
	if strings.HasPrefix(address, ":") {
		return "0.0.0.0" + address
	}
	return address
}

// fullAddress is the stack's form; unspecified addresses mean any.
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
