//go:build !race

package allowedips

import (
	"net/netip"
	"testing"
)

// Lookups do not allocate, whatever they find.
func TestLookupDoesNotAllocate(t *testing.T) {
	tab := table(t, "10.0.0.0/8", "a", "10.1.2.0/24", "b", "2001:db8::/32", "six", "fe80::/10", "link")
	for _, s := range []string{"10.1.2.3", "10.2.0.1", "11.0.0.1", "2001:db8::1", "2001:db9::1", "::ffff:10.0.0.1", "fe80::1%eth0"} {
		a := netip.MustParseAddr(s)
		if n := testing.AllocsPerRun(100, func() { tab.Lookup(a) }); n != 0 {
			t.Errorf("Lookup(%v): %v allocations, want 0", a, n)
		}
		if n := testing.AllocsPerRun(100, func() { tab.Impersonates(a) }); n != 0 {
			t.Errorf("Impersonates(%v): %v allocations, want 0", a, n)
		}
	}
	var c Cache[string]
	if n := testing.AllocsPerRun(100, func() {
		for i := range 20 {
			c.Lookup(tab, netip.AddrFrom4([4]byte{10, 1, 2, byte(i)}))
		}
	}); n != 0 {
		t.Errorf("Cache: %v allocations, want 0", n)
	}
}
