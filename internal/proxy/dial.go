package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"wgd/internal/resolve/inturn"
)

// maxAddresses is how many addresses of a name are tried.
const maxAddresses = 8

// A lookupError says that a name has no address.
type lookupError struct{ error }

func (e *lookupError) Unwrap() error { return e.error }

// dial connects to a target through the tunnel. Its error names the target.
func dial(ctx context.Context, t Tunnel, to target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := addresses(ctx, t, to)
	if err == nil {
		var c net.Conn
		c, err = inturn.First(ctx, addrs, func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
			return t.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, to.port).String())
		})
		if err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", to, err)
}

// addresses returns the addresses of a target, in the order in which they are
// tried.
func addresses(ctx context.Context, t Tunnel, to target) ([]netip.Addr, error) {
	if to.addr.IsValid() {
		return []netip.Addr{to.addr}, nil
	}
	addrs, err := t.LookupNetIP(ctx, "ip", to.name)
	if err == nil && len(addrs) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return nil, &lookupError{err}
	}
	addrs = inturn.Alternate(addrs)
	return addrs[:min(len(addrs), maxAddresses)], nil
}
