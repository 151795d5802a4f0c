package peer

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

// A peer that is reached through another one is no loop, a circle is, and what was
// seen long ago does not count (A46).
func TestGoesThrough(t *testing.T) {
	const now = clock.Time(100 * time.Second)
	a, b, c := newPeer(), newPeer(), newPeer()
	if !a.GoesThrough(a, now) {
		t.Error("a peer inside its own tunnel")
	}
	if b.GoesThrough(c, now) {
		t.Error("one peer inside another one")
	}
	if a.GoesThrough(b, now) {
		t.Error("a chain of three")
	}
	if !c.GoesThrough(a, now) {
		t.Error("a circle of three")
	}
	if c.GoesThrough(a, now.Add(nestedMemory)) {
		t.Error("the others were seen long ago")
	}
	if !b.GoesThrough(c, now.Add(nestedMemory-1)) || !a.GoesThrough(b, now.Add(nestedMemory)) {
		t.Error("a circle, seen again")
	}
	// A chain that leads into a circle of others ends, too.
	a, b, c = newPeer(), newPeer(), newPeer()
	b.GoesThrough(c, now)
	c.GoesThrough(b, now)
	if !a.GoesThrough(b, now) {
		t.Error("a chain that leads into a circle")
	}
}

func TestReaches(t *testing.T) {
	p := newPeer()
	at := netip.MustParseAddrPort("[fe80::1]:7")
	if p.Reaches(at) {
		t.Error("without an endpoint")
	}
	p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort("[fe80::1%3]:7"), netip.Addr{}, 0))
	if !p.Reaches(at) || p.Reaches(netip.MustParseAddrPort("[fe80::1]:8")) || p.Reaches(netip.MustParseAddrPort("[fe80::2]:7")) {
		t.Error("with one")
	}
}
