package peer

import "net/netip"

// Changes says how often the host's routes have changed, and which prefixes the
// latest changes affected. It is immutable.
type Changes struct {
	count  uint64
	floor  uint64 // prefixes of changes up to this one are not in recent
	recent []change
}

type change struct {
	prefix netip.Prefix
	count  uint64 // number of this change
}

// maxRecent is how many changed prefixes are remembered.
const maxRecent = 32

// After returns c with one more change, which affects these prefixes.
func (c *Changes) After(prefixes ...netip.Prefix) *Changes {
	next := &Changes{count: c.count + 1, floor: c.floor}
	for _, old := range c.recent {
		if !covered(prefixes, old.prefix) { // a route that flaps has only one entry
			next.recent = append(next.recent, old)
		}
	}
	for _, p := range prefixes {
		next.recent = append(next.recent, change{p.Masked(), next.count})
	}
	if surplus := len(next.recent) - maxRecent; surplus > 0 {
		next.floor = max(next.floor, next.recent[surplus-1].count)
		next.recent = next.recent[surplus:]
	}
	return next
}

func covered(by []netip.Prefix, p netip.Prefix) bool {
	for _, b := range by {
		if b.Bits() <= p.Bits() && b.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// Count returns the number of changes.
func (c *Changes) Count() uint64 { return c.count }

// Affect reports whether a change after number since may have affected the route
// to a.
func (c *Changes) Affect(a netip.Addr, since uint64) bool {
	if since < c.floor {
		return true
	}
	a = a.WithZone("")
	for i := len(c.recent) - 1; i >= 0 && c.recent[i].count > since; i-- {
		if c.recent[i].prefix.Contains(a) {
			return true
		}
	}
	return false
}
