// Package netstack is a TCP/IP stack inside the process, which replaces the
// kernel's interface of a tunnel. A program that uses it needs neither root nor
// a TUN device.
//
// A Stack is a wg.Device: its connections send and receive through the tunnel.
//
//	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{…}})
//	w, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
//	conn, err := stack.DialContext(ctx, "tcp", "10.2.0.1:80")
//
// With Options.NameServers it looks up names, inside the tunnel only. DialContext
// fits net/http (Transport.DialContext), gRPC (grpc.WithContextDialer) and the
// dialers of database drivers.
//
// What a program should know:
//
//   - A stack has 49,536 ports for outgoing connections to one address and port.
//   - A peer that went away does not end an idle connection: a pool of database
//     connections should close idle ones (sql.DB.SetConnMaxIdleTime).
//   - QUIC inside the tunnel with datagrams of 1,280 bytes needs an MTU of at least
//     1,308 with IPv4 and 1,328 with IPv6.
//
// The implementation is gVisor's.
package netstack

import (
	"fmt"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic        = 1
	defaultMTU = 1420 // as for an interface of the kernel (A46)
	minMTU     = 576
	maxMTU     = 65535
)

// Options are the options of New. The slices belong to the caller again when New
// returns.
type Options struct {
	// Name is returned by Stack.Name and has no other use; "" means
	// "netstack".
	Name string
	// Addresses are the addresses of the stack. All destinations are routed
	// into the tunnel, whatever the prefix lengths are.
	Addresses []netip.Prefix
	// MTU is the MTU in bytes, 576 to 65535; 0 means 1420.
	MTU int
	// NameServers are the DNS servers inside the tunnel that look up names,
	// in the order of preference. Without them the stack looks up no names.
	NameServers []netip.Addr
	// Search are the domains that are appended, one after the other, to names
	// that contain no dot.
	Search []string
}

// A Stack is a TCP/IP stack with one interface, the tunnel. Its methods may be
// called from any goroutine.
type Stack struct {
	*device
	stack   *stack.Stack
	names   *names
	closing sync.Once
}

// New makes a stack. Pass it to wg.Open as the Device, which then reads from it
// and writes to it.
func New(o Options) (*Stack, error) { return newStack(o, tcpip.NewStdClock()) }

func newStack(o Options, clock tcpip.Clock) (*Stack, error) {
	if o.MTU == 0 {
		o.MTU = defaultMTU
	}
	if o.MTU < minMTU || o.MTU > maxMTU {
		return nil, fmt.Errorf("mtu %d: give %d to %d bytes", o.MTU, minMTU, maxMTU)
	}
	if o.Name == "" {
		o.Name = "netstack"
	}
	s := &Stack{
		device: newDevice(o.Name, o.MTU),
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
			HandleLocal:        true,
			Clock:              clock,
		}),
	}
	s.holes.clock, s.holes.patience = clock, s.patience
	s.timeouts.clock, s.timeouts.expired, s.timeouts.recovery = clock, s.stack.Stats().TCP.Timeouts, s.timeoutRecovery
	s.paths.clock, s.paths.connected, s.paths.tooBig = clock, s.connected, s.timeouts.tooBig
	err := s.configure(o.Addresses)
	if err == nil {
		s.names, err = newNames(s, o)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stack) configure(addresses []netip.Prefix) error {
	if err := configureTCP(s.stack); err != nil {
		return err
	}
	if err := s.stack.CreateNIC(nic, link{s.device}); err != nil {
		return fmt.Errorf("make the stack's interface: %v", err)
	}
	for _, prefix := range addresses {
		if err := s.addAddress(prefix); err != nil {
			return err
		}
	}
	s.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	return nil
}

func (s *Stack) addAddress(prefix netip.Prefix) error {
	if !prefix.IsValid() {
		return fmt.Errorf("address %v: write ADDRESS/LENGTH", prefix)
	}
	if prefix.Addr().Is4In6() {
		return fmt.Errorf("address %v: packets with an IPv4-mapped address are dropped: give the IPv4 address itself", prefix)
	}
	protocol := ipv6.ProtocolNumber
	if prefix.Addr().Is4() {
		protocol = ipv4.ProtocolNumber
	}
	address := tcpip.ProtocolAddress{
		Protocol: protocol,
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address:   tcpip.AddrFromSlice(prefix.Addr().AsSlice()),
			PrefixLen: prefix.Bits(),
		},
	}
	if err := s.stack.AddProtocolAddress(nic, address, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("address %v: %v", prefix, err)
	}
	return nil
}

// Close ends all connections. Read, TryRead and Write then return os.ErrClosed,
// and an Interface of package wg that uses the stack ends.
func (s *Stack) Close() error {
	s.closing.Do(func() {
		s.device.Close()
		s.stack.RemoveNIC(nic)
		s.stack.Close()
	})
	return nil
}
