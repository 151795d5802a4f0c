package peer

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

// A peer reached through another one is no loop; a cycle is one; old notes do not
// count (A46).
func TestGoesThrough(t *testing.T) {
	const now = clock.Time(100 * time.Second)
	a, b, c := newPeer(), newPeer(), newPeer()
	if !a.GoesThrough(a, now) {
		t.Error("a peer inside its own tunnel is no loop, want one")
	}
	if b.GoesThrough(c, now) {
		t.Error("one peer inside another one is a loop, want none")
	}
	if a.GoesThrough(b, now) {
		t.Error("a chain of three is a loop, want none")
	}
	if !c.GoesThrough(a, now) {
		t.Error("a cycle of three is no loop, want one")
	}
	if c.GoesThrough(a, now.Add(nestedMemory)) {
		t.Error("a cycle with old notes is a loop, want none")
	}
	if !b.GoesThrough(c, now.Add(nestedMemory-1)) || !a.GoesThrough(b, now.Add(nestedMemory)) {
		t.Error("a cycle noted again is no loop, want one")
	}
	// The search also ends in a chain that leads into a cycle of other peers.
	a, b, c = newPeer(), newPeer(), newPeer()
	b.GoesThrough(c, now)
	c.GoesThrough(b, now)
	if !a.GoesThrough(b, now) {
		t.Error("a chain that leads into a cycle is no loop, want one")
	}
}

func TestReaches(t *testing.T) {
	p := newPeer()
	at := netip.MustParseAddrPort("[fe80::1]:7")
	if p.Reaches(at) {
		t.Error("a peer without an endpoint is reached")
	}
	p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort("[fe80::1%3]:7"), netip.Addr{}, 0))
	if !p.Reaches(at) || p.Reaches(netip.MustParseAddrPort("[fe80::1]:8")) || p.Reaches(netip.MustParseAddrPort("[fe80::2]:7")) {
		t.Error("Reaches is wrong for a peer with an endpoint")
	}
}
