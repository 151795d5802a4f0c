package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"wgd/internal/resolve/inturn"
)

// splitName splits HOST:PORT if HOST is a name.
func splitName(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", "", false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "", "", false
	}
	return host, port, true
}

func (s *Stack) dialName(ctx context.Context, network, host, port string) (net.Conn, error) {
	_, family, err := splitNetwork(network)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	list, err := s.LookupNetIP(ctx, "ip"+family, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if list = s.reachable(list); len(list) == 0 {
		err := fmt.Errorf("%q has no address of a family that the stack has an address of", host)
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	conn, err := inturn.First(ctx, inturn.Alternate(list), func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
		return s.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
	})
	if err != nil && err == ctx.Err() {
		err = &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return conn, err
}

// reachable returns the addresses of the families of which the stack has an
// address itself.
func (s *Stack) reachable(list []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(list, func(addr netip.Addr) bool {
		if addr.Is4() {
			return !s.names.has4
		}
		return !s.names.has6
	})
}
