package names

import (
	"net/netip"
	"slices"

	"wgd/key"
)

// A peer follows a host.
type peer struct {
	id      key.Public
	host    *host
	index   int // among the peers of the host
	port    uint16
	removed bool

	current  netip.AddrPort // in use; invalid: none yet
	good     netip.AddrPort // where it was heard from last; invalid: nowhere
	silent   bool           // since it was heard from
	roamed   bool           // it was heard from where its name is not
	held     bool           // its name has moved meanwhile, and it did not follow
	refusals int            // in a row

	pending bool // NextUse has to return current
	queued  bool // it is in the list for NextUse
	moved   bool // it had an endpoint before that
}

// candidates returns all endpoints that the peer may have: those of its name, and
// where it was heard from last.
func (p *peer) candidates() []netip.AddrPort {
	var list []netip.AddrPort
	for _, a := range p.host.addrs {
		list = append(list, netip.AddrPortFrom(a, p.port))
	}
	if p.good.IsValid() && !slices.Contains(list, p.good) {
		list = append(list, p.good)
	}
	return list
}

// next moves the peer to the candidate after the current one.
func (p *peer) next() (netip.AddrPort, bool) {
	list := p.candidates()
	if len(list) == 0 {
		return netip.AddrPort{}, false
	}
	to := list[(slices.Index(list, p.current)+1)%len(list)]
	if p.held {
		to, p.held = list[0], false
	}
	if to == p.current && !p.pending {
		return netip.AddrPort{}, false
	}
	p.current, p.pending = to, false
	return to, true
}

// consider moves a peer to an address of its name where the name's addresses have
// changed. found is one that is new, if any. At first, without addresses before, a
// peer keeps what it has if that is one of the name's.
func (m *Machine) consider(p *peer, first bool, found netip.Addr) {
	switch {
	case !p.current.IsValid():
		m.use(p, p.candidates()[0])
	case p.silent && !first && found.IsValid():
		m.use(p, netip.AddrPortFrom(found, p.port))
	case p.known():
		p.held = false
	case p.roamed && !p.silent:
		p.held = true
	default:
		m.use(p, p.candidates()[0])
	}
}

// known reports whether the endpoint in use is one of the name's.
func (p *peer) known() bool {
	return p.current.Port() == p.port && slices.Contains(p.host.addrs, p.current.Addr())
}

// use gives a peer another endpoint.
func (m *Machine) use(p *peer, to netip.AddrPort) {
	p.held, p.roamed = false, false
	if p.current == to {
		return
	}
	p.moved = p.current.IsValid() && !p.pending || p.pending && p.moved
	p.current, p.pending = to, true
	if !p.queued {
		p.queued = true
		m.uses = append(m.uses, p)
	}
}
