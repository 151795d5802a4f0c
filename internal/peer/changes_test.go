package peer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// A change affects the routes to addresses under its prefix, once. (A52)
func TestChangesAffect(t *testing.T) {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	none := &Changes{}
	if none.Affect(addr("192.0.2.1"), 0) {
		t.Error("a route is affected before any change")
	}
	one := none.After(prefix("192.0.2.0/24"))
	two := one.After(prefix("fd00::/16"), prefix("198.51.100.0/24"))
	all := two.After(prefix("::/0"))
	for _, c := range []struct {
		changes *Changes
		a       string
		since   uint64
		want    bool
	}{
		{one, "192.0.2.1", 0, true},
		{one, "192.0.2.1", 1, false},
		{one, "192.0.3.1", 0, false},
		{one, "fd00::1", 0, false},
		{two, "192.0.2.1", 0, true},
		{two, "192.0.2.1", 1, false},
		{two, "fd00::1", 1, true},
		{two, "198.51.100.1", 1, true},
		{two, "198.51.100.1", 2, false},
		{all, "fe80::1%eth0", 2, true},
		{all, "fe80::1%eth0", 3, false},
		{all, "198.51.100.1", 2, false},
		{all, "198.51.100.1", 1, true},
	} {
		if got := c.changes.Affect(addr(c.a), c.since); got != c.want {
			t.Errorf("after %d changes, %s is affected since %d: %v, want %v", c.changes.Count(), c.a, c.since, got, c.want)
		}
	}
}

// A route that flaps displaces no other change.
func TestFlappingRouteHasOneEntry(t *testing.T) {
	c := (&Changes{}).After(netip.MustParsePrefix("192.0.2.0/24"))
	for range 10 * maxRecent {
		c = c.After(netip.MustParsePrefix("203.0.113.0/24"))
	}
	if len(c.recent) != 2 || c.floor != 0 || !c.Affect(netip.MustParseAddr("192.0.2.1"), 0) || c.Affect(netip.MustParseAddr("198.51.100.1"), 0) {
		t.Errorf("the changes are %+v, want one entry for each prefix", c)
	}
}

// Among many changes, none is missed, and a bounded number is kept.
func TestManyChanges(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	c := &Changes{}
	var all []netip.Prefix // the i-th change
	for i := range 500 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(dice.IntN(80)), 0, 0}), 16)
		all = append(all, p)
		if c = c.After(p); len(c.recent) > maxRecent {
			t.Fatalf("%d changes are kept, want at most %d", len(c.recent), maxRecent)
		}
		for range 20 {
			since := uint64(dice.IntN(i + 2))
			a := netip.MustParseAddr(fmt.Sprintf("10.%d.0.1", dice.IntN(80)))
			missed := false
			for _, p := range all[since:] {
				missed = missed || p.Contains(a)
			}
			if missed && !c.Affect(a, since) {
				t.Fatalf("after %d changes, %s since %d is missed", i+1, a, since)
			}
		}
	}
	if c.Affect(netip.MustParseAddr("192.0.2.1"), c.Count()-1) {
		t.Error("the last change affects an address outside its prefix")
	}
}
