package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
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

// nextAfter is how long a TCP connection may take until DialContext tries the
// next address beside it. RFC 8305 recommends it.
const nextAfter = 250 * time.Millisecond

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
	return dialAny(ctx, alternate(list), func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
		return s.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
	})
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

// alternate orders addresses so that the families take turns, and otherwise as
// the name server did.
func alternate(list []netip.Addr) (result []netip.Addr) {
	var first, second []netip.Addr
	for _, addr := range list {
		if addr.Is4() == list[0].Is4() {
			first = append(first, addr)
		} else {
			second = append(second, addr)
		}
	}
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			result = append(result, first[i])
		}
		if i < len(second) {
			result = append(result, second[i])
		}
	}
	return result
}

// dialAny dials the addresses in this order. It begins with the next one when one
// fails, or takes longer than nextAfter, and returns the first connection. If all
// fail it returns the error of the first address. The other connections are
// closed.
func dialAny(ctx context.Context, list []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		index int
		conn  net.Conn
		err   error
	}
	results, returned := make(chan result), make(chan struct{})
	defer close(returned)
	begun, ended := 0, 0
	begin := func() {
		index := begun
		begun++
		go func() {
			conn, err := dial(ctx, list[index])
			select {
			case results <- result{index, conn, err}:
			case <-returned:
				if err == nil {
					conn.Close()
				}
			}
		}()
	}
	timer := time.NewTimer(nextAfter)
	defer timer.Stop()
	var failure error
	firstFailed := len(list)
	for begin(); ; {
		select {
		case <-timer.C:
		case r := <-results:
			ended++
			if r.err == nil {
				return r.conn, nil
			}
			if r.index < firstFailed {
				failure, firstFailed = r.err, r.index
			}
			if ended == len(list) {
				return nil, failure
			}
		}
		if begun < len(list) {
			begin()
			timer.Reset(nextAfter)
		}
	}
}
