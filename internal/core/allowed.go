package core

import (
	"net/netip"
	"slices"

	"wgd/conf"
	"wgd/internal/allowedips"
)

// allow applies changes of p's allowed IPs, one after the other.
func (e *edit) allow(p *member, changes []conf.AllowedIPChange) {
	p.allowed = slices.Grow(p.allowed, len(changes))
	for _, c := range changes {
		prefix, ok := allowedips.Normal(c.Prefix)
		switch {
		case !ok: // Validate has refused it
		case c.Remove:
			e.withdraw(p, prefix)
		default:
			e.give(p, prefix)
		}
	}
}

// give lets p have the prefix, and takes it from who had it (A50, B64).
func (e *edit) give(p *member, prefix netip.Prefix) {
	before, had := e.routes.Insert(prefix, p.shared)
	if had && before == p.shared {
		return
	}
	e.moved = true
	if had {
		e.lose(known(before), prefix)
	}
	if _, listed := e.lost[p][prefix]; listed {
		delete(e.lost[p], prefix) // taken away and given back
		return
	}
	p.allowed = append(p.allowed, prefix)
}

// withdraw takes the prefix from p if p has it.
func (e *edit) withdraw(p *member, prefix netip.Prefix) {
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

// dropAllowed takes all of p's prefixes away.
func (e *edit) dropAllowed(p *member) {
	for _, prefix := range p.allowed {
		if e.routes.Remove(prefix, p.shared) {
			e.moved = true
		}
	}
	p.allowed = nil
	delete(e.lost, p)
}

// disown takes the lost prefixes out of p's list; the rest stays in order.
func (p *member) disown(lost map[netip.Prefix]struct{}) {
	if len(lost) == 0 {
		return
	}
	p.allowed = slices.DeleteFunc(p.allowed, func(prefix netip.Prefix) bool {
		_, gone := lost[prefix]
		return gone
	})
	p.allowed = slices.Clip(p.allowed)
}
