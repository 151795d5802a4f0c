package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	// attemptDelay is how long one address may take before the next one is
	// tried at the same time (RFC 8305, section 8).
	attemptDelay = 250 * time.Millisecond
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 8
)

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
		if c, err = dialFirst(ctx, t, addrs, to.port); err == nil {
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
	addrs = alternate(addrs)
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// alternate orders addresses so that the families take turns, beginning with that
// of the first address (RFC 8305, section 4). If one family does not work, half
// of the attempts go to the other one.
func alternate(addrs []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, addr := range addrs {
		addr = addr.Unmap()
		i := 0
		if addr.Is4() != addrs[0].Unmap().Is4() {
			i = 1
		}
		families[i] = append(families[i], addr)
	}
	list := make([]netip.Addr, 0, len(addrs))
	for i := range addrs {
		for _, family := range families {
			if i < len(family) {
				list = append(list, family[i])
			}
		}
	}
	return list
}

// dialFirst connects to the address that answers first. It begins with the first
// one, and tries another when the one before fails or takes long. If all fail, it
// returns the error of the first one.
func dialFirst(ctx context.Context, t Tunnel, addrs []netip.Addr, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the other attempts
	type result struct {
		attempt int
		c       net.Conn
		err     error
	}
	results := make(chan result)
	try := func(i int) {
		c, err := t.DialContext(ctx, "tcp", netip.AddrPortFrom(addrs[i], port).String())
		select {
		case results <- result{i, c, err}:
		case <-ctx.Done():
			if err == nil {
				c.Close()
			}
		}
	}
	if len(addrs) == 1 {
		return t.DialContext(ctx, "tcp", netip.AddrPortFrom(addrs[0], port).String())
	}
	delay := time.NewTicker(attemptDelay)
	defer delay.Stop()
	var first error
	begun, failed := 0, 0
	for {
		if begun < len(addrs) {
			go try(begun)
			begun++
			delay.Reset(attemptDelay)
		}
		select {
		case r := <-results:
			if r.err == nil {
				return r.c, nil
			}
			if failed++; r.attempt == 0 {
				first = r.err
			}
			if failed == len(addrs) {
				return nil, first
			}
		case <-delay.C:
		case <-ctx.Done():
			if first == nil {
				first = ctx.Err()
			}
			return nil, first
		}
	}
}
