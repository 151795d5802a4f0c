// Package inturn connects to the first of several addresses of a name that answers, as
// RFC 8305 (Happy Eyeballs) recommends.
package inturn

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is how long one address may take before the next one is tried at the same
// time (RFC 8305, section 8).
const attemptDelay = 250 * time.Millisecond

// Alternate orders addresses so that the families take turns, beginning with that of the
// first address (RFC 8305, section 4). If one family does not work, half of the attempts go
// to the other one.
func Alternate(addrs []netip.Addr) []netip.Addr {
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

// First dials the addresses, of which there is at least one, in this order. It begins with
// the next one when one fails or takes longer than 250 ms, and returns the first connection;
// the others are closed. If all fail, it returns the error of the first address. It leaves no
// goroutine, if dial ends when its context does.
func First(ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	if len(addrs) == 1 {
		return dial(ctx, addrs[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the other attempts
	type result struct {
		attempt int
		c       net.Conn
		err     error
	}
	results := make(chan result)
	try := func(i int) {
		c, err := dial(ctx, addrs[i])
		select {
		case results <- result{i, c, err}:
		case <-ctx.Done():
			if err == nil {
				c.Close()
			}
		}
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
