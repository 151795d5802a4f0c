package core

import (
	"net/netip"
	"slices"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/observe"
)

// allow applies changes to p's allowed IPs in order.
func (e *edit) allow(p *member, changes []conf.AllowedIPChange) {
	p.allowed = slices.Grow(p.allowed, len(changes))
	for _, c := range changes {
		prefix, ok := allowedips.Normal(c.Prefix)
		switch {
		case !ok: // cannot happen after Validate
		case c.Remove:
			e.unassign(p, prefix)
		default:
			e.assign(p, prefix)
		}
	}
}

// assign gives the prefix to p, and takes it from its previous owner (A50, B64).
func (e *edit) assign(p *member, prefix netip.Prefix) {
	before, had := e.routes.Insert(prefix, p.shared)
	if had && before == p.shared {
		return
	}
	e.moved = true
	e.gain(prefix)
	if had {
		loser := known(before)
		e.m.beforeChange(loser)
		e.lose(loser, prefix)
		loser.observed.Add(e.now.Mono, observe.Event{Kind: conf.AllowedIPTaken, Key: p.public(), Detail: prefix.String()})
	}
	if _, listed := e.lost[p][prefix]; listed {
		delete(e.lost[p], prefix) // taken away before in this change
		return
	}
	p.allowed = append(p.allowed, prefix)
}

// unassign takes the prefix from p if p has it.
func (e *edit) unassign(p *member, prefix netip.Prefix) {
	if e.routes.Remove(prefix, p.shared) {
		e.moved = true
		e.lose(p, prefix)
	}
}

func (e *edit) lose(p *member, prefix netip.Prefix) {
	if e.lost == nil {
		e.lost = make(map[*member]map[netip.Prefix]struct{})
	}
	if e.lost[p] == nil {
		e.lost[p] = make(map[netip.Prefix]struct{})
	}
	e.lost[p][prefix] = struct{}{}
}

// dropAllowed removes all of p's prefixes.
func (e *edit) dropAllowed(p *member) {
	for _, prefix := range p.allowed {
		if e.routes.Remove(prefix, p.shared) {
			e.moved = true
		}
	}
	p.allowed = nil
	delete(e.lost, p)
}

// dropLost removes the lost prefixes from p's list; the others stay in order.
func (p *member) dropLost(lost map[netip.Prefix]struct{}) {
	if len(lost) == 0 {
		return
	}
	p.allowed = slices.DeleteFunc(p.allowed, func(prefix netip.Prefix) bool {
		_, gone := lost[prefix]
		return gone
	})
	p.allowed = slices.Clip(p.allowed)
}

// gain notes a prefix for which packets may wait.
func (e *edit) gain(prefix netip.Prefix) {
	switch {
	case !e.m.unknown.Active():
	case prefix.IsSingleIP():
		e.gained = append(e.gained, prefix.Addr())
	default:
		e.wider = true
	}
}

// release lets the packets go on that have waited for the new routes.
func (e *edit) release() {
	if len(e.gained) == 0 && !e.wider {
		return
	}
	routes := e.m.routes.Load()
	has := func(a netip.Addr) bool {
		_, ok := routes.Lookup(a)
		return ok
	}
	for _, d := range e.m.unknown.TakeDestinations(e.now.Mono, e.gained, e.wider, has) {
		p, _ := routes.Lookup(d.To)
		e.m.emit(Output{Kind: Release, Peer: p, Packets: d.Packets})
	}
}
