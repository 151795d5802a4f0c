package allowedips

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// A48, A49, A50, B64: the cache returns what the table returns, whatever
// addresses share a slot, and after a change of the table only results of the
// new one.
func TestCacheMatchesTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(48, 50))
	var c Cache[int]
	var tab *Table[int]
	for round := range 300 {
		if round%100 == 50 {
			c.generation = 1<<32 - 3 // so that it wraps around
		}
		e := tab.Edit()
		for range rng.IntN(4) {
			prefix, p := randomPrefix(rng), 1+rng.IntN(8)
			if rng.IntN(3) == 0 {
				e.Remove(prefix, p)
			} else {
				e.Insert(prefix, p)
			}
		}
		tab = e.Table()
		for range 200 {
			a := randomPrefix(rng).Addr()
			if rng.IntN(3) == 0 { // may share a slot with others
				a = netip.AddrFrom4([4]byte{byte(rng.Uint32()), byte(rng.Uint32()), 1, 1})
			}
			if rng.IntN(10) == 0 {
				a = netip.Addr{}
			}
			want, wantOK := tab.Lookup(a)
			for range 2 {
				if got, ok := c.Lookup(tab, a); got != want || ok != wantOK {
					t.Fatalf("round %d: Lookup(%v) = %d, %v; the table returns %d, %v", round, a, got, ok, want, wantOK)
				}
			}
		}
	}
}

// A new Cache finds nothing in the nil table, and then what is in another one.
func TestCacheOfEmptyTable(t *testing.T) {
	var c Cache[string]
	if _, ok := c.Lookup(nil, netip.IPv6Unspecified()); ok {
		t.Error("the cache finds :: in the nil table")
	}
	tab := table(t, "::/0", "six", "0.0.0.0/0", "four")
	for address, want := range map[string]string{"::": "six", "0.0.0.0": "four", "::ffff:0.0.0.0": "six", "::1%eth0": "six"} {
		if got, _ := c.Lookup(tab, netip.MustParseAddr(address)); got != want {
			t.Errorf("Lookup(%s) = %q, want %q", address, got, want)
		}
	}
}

// When the generation wraps around, entries of earlier tables are not valid
// again.
func TestCacheGenerationWraps(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	first, second := table(t, "10.0.0.0/8", "first"), table(t, "10.0.0.0/8", "second")
	var c Cache[string]
	c.Lookup(first, a)
	c.generation, c.table = 1<<32-1, nil
	if got, _ := c.Lookup(second, a); got != "second" {
		t.Errorf("Lookup(%v) = %q, want %q", a, got, "second")
	}
}

// Adjacent addresses rarely share a slot: most of cacheSlots/2 addresses have
// their own.
func TestCacheSpreads(t *testing.T) {
	for _, s := range shapes {
		taken := map[uint64]bool{}
		for i := range cacheSlots / 2 {
			b := s.prefix(i).Addr().As16()
			var c [2]uint64
			for j, x := range b {
				c[j/8] = c[j/8]<<8 | uint64(x)
			}
			taken[slotOf(c[0], c[1])] = true
		}
		if len(taken) < cacheSlots*3/10 {
			t.Errorf("%s: %d slots for %d addresses, want at least %d", s.name, len(taken), cacheSlots/2, cacheSlots*3/10)
		}
	}
}

// The lookups of BenchmarkLookup, through a Cache.
func BenchmarkCache(b *testing.B) {
	for _, s := range shapes {
		l := benchTables[s.name]()
		for _, spread := range []struct {
			name string
			n    int
		}{{"flows", 64}, {"manyflows", 256}, {"anywhere", 1 << 16}} {
			b.Run(s.name+"/"+spread.name, func(b *testing.B) {
				var c Cache[*int]
				i := 0
				for b.Loop() {
					if _, ok := c.Lookup(l.table, l.addrs[i&(spread.n-1)]); !ok {
						b.Fatal("the address was not found")
					}
					i++
				}
			})
		}
	}
}
