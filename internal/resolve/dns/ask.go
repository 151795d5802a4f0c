package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ask asks one server after the other, all of them as often as resolv.conf says,
// until one answers.
func (l lookup) ask(ctx context.Context, name dnsmessage.Name, family dnsmessage.Type) result {
	last := result{kind: NotAsked}
	for attempt := range l.conf.attempts {
		for _, e := range l.exchanges(attempt) {
			r := l.one(ctx, e, name, family)
			if !r.temporary() || ctx.Err() != nil {
				return r
			}
			if last.kind == NotAsked || r.kind != NotAsked {
				last = r
			}
		}
	}
	return last
}

// exchanges returns the servers in the order in which to ask them, and how.
func (l lookup) exchanges(attempt int) (list []exchange) {
	c := l.client
	mark := c.mark.Load()
	add := func(server netip.Addr, mark uint32) {
		e := exchange{dial: c.dial, server: netip.AddrPortFrom(server, c.port), mark: mark, tcp: l.conf.tcp, edns0: l.conf.edns0}
		list = append(list, e)
	}
	local := true
	for i := range l.conf.servers {
		if l.conf.rotate {
			i = (i + l.turn) % len(l.conf.servers)
		}
		server := l.conf.servers[i]
		local = local && server.IsLoopback()
		if attempt%2 == 0 {
			add(server, mark)
		} else {
			add(server, 0)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	silent := func(e exchange) int {
		if at, ok := c.silent[e.server.Addr()]; ok && time.Since(at) < lastFor {
			return 1
		}
		return 0
	}
	if local && (attempt > 0 || silent(list[0]) > 0) {
		for _, server := range c.upstream().servers {
			if !server.IsLoopback() {
				add(server, mark)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b exchange) int { return silent(a) - silent(b) })
	return list
}

// one asks one server.
func (l lookup) one(ctx context.Context, e exchange, name dnsmessage.Name, family dnsmessage.Type) result {
	q := newQuestion(name, family, e.edns0)
	r, err := e.do(ctx, q, l.conf.timeout)
	notUnderstood := r.rcode == dnsmessage.RCodeFormatError || r.rcode == dnsmessage.RCodeNotImplemented
	if err == nil && notUnderstood && e.edns0 { // an old server
		e.edns0 = false
		q = newQuestion(name, family, false)
		r, err = e.do(ctx, q, l.conf.timeout)
	}
	l.note(ctx, e.server, err)
	failed := result{kind: ServerFailed, server: e.server}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		failed.kind = NoAnswer
		return failed
	case err != nil:
		failed.kind, failed.cause = NotAsked, err
		if errors.Is(err, errMalformed) || errors.Is(err, errNotOurs) {
			failed.kind = ServerFailed
		}
		return failed
	case r.failed():
		failed.cause = fmt.Errorf("it answers %s", rcodeName(r.rcode))
		return failed
	case r.lame:
		failed.cause = errors.New("it does not look up names for us")
		return failed
	}
	addrs := usable(r.addrs)
	switch {
	case len(addrs) > 0: // also with NXDOMAIN, which the end of a chain of aliases may have
		return result{addrs: addrs, ttl: r.ttl, server: e.server}
	case len(r.addrs) > 0:
		err := fmt.Errorf("it answers %v, which filters answer for names that they block", r.addrs[0])
		return result{kind: NoAddress, ttl: r.ttl, server: e.server, cause: err}
	case r.rcode == dnsmessage.RCodeNameError:
		return result{kind: NotFound, ttl: r.negative, server: e.server}
	}
	return result{kind: NoAddress, ttl: r.negative, server: e.server}
}

// note remembers whether a server answers.
func (l lookup) note(ctx context.Context, server netip.AddrPort, err error) {
	if context.Cause(ctx) != nil {
		return // that is not the server's fault
	}
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.silent, server.Addr())
	if err != nil {
		for a, at := range c.silent {
			if time.Since(at) >= lastFor {
				delete(c.silent, a)
			}
		}
		c.silent[server.Addr()] = time.Now()
	}
}

var rcodeNames = map[dnsmessage.RCode]string{
	dnsmessage.RCodeFormatError: "FORMERR", dnsmessage.RCodeServerFailure: "SERVFAIL",
	dnsmessage.RCodeNotImplemented: "NOTIMP", dnsmessage.RCodeRefused: "REFUSED",
}

func rcodeName(r dnsmessage.RCode) string {
	if name := rcodeNames[r]; name != "" {
		return name
	}
	return fmt.Sprintf("with error %d", r)
}
