package allowedips

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// model is a table with linear search.
type model map[netip.Prefix]int

func (m model) lookup(a netip.Addr) (peer int, ok bool) {
	longest := -1
	for prefix, p := range m {
		if prefix.Bits() > longest && prefix.Contains(a.WithZone("")) {
			peer, ok, longest = p, true, prefix.Bits()
		}
	}
	return peer, ok
}

func (m model) insert(prefix netip.Prefix, p int) (previous int, had bool) {
	prefix, _ = Normal(prefix)
	previous, had = m[prefix]
	m[prefix] = p
	return previous, had
}

func (m model) remove(prefix netip.Prefix, p int) bool {
	prefix, _ = Normal(prefix)
	if holder, had := m[prefix]; !had || holder != p {
		return false
	}
	delete(m, prefix)
	return true
}

func (m model) clone() model {
	c := model{}
	for prefix, p := range m {
		c[prefix] = p
	}
	return c
}

// equal compares the table with the model by lookups of the given addresses,
// and of the first address of every prefix and the one before it.
func (m model) equal(t *testing.T, table *Table[int], addrs ...netip.Addr) {
	t.Helper()
	if table.Len() != len(m) {
		t.Fatalf("the table has %d prefixes, the model %d", table.Len(), len(m))
	}
	for prefix := range m {
		first := prefix.Addr()
		addrs = append(addrs, first, first.Prev())
	}
	for _, a := range addrs {
		got, gotOK := table.Lookup(a)
		want, wantOK := m.lookup(a)
		if got != want || gotOK != wantOK {
			t.Fatalf("Lookup(%v) = %d, %v; linear search returns %d, %v", a, got, gotOK, want, wantOK)
		}
	}
}

func table(t *testing.T, pairs ...any) *Table[string] {
	t.Helper()
	e := new(Table[string]).Edit()
	for i := 0; i < len(pairs); i += 2 {
		e.Insert(netip.MustParsePrefix(pairs[i].(string)), pairs[i+1].(string))
	}
	return e.Table()
}

func expect(t *testing.T, table *Table[string], address, want string) {
	t.Helper()
	got, ok := table.Lookup(netip.MustParseAddr(address))
	if got != want || ok != (want != "") {
		t.Errorf("Lookup(%s) = %q, %v; want %q", address, got, ok, want)
	}
}

// A48, A50, B2: the longest prefix wins, including /0 and single hosts, in each
// family separately.
func TestLongestPrefix(t *testing.T) {
	tab := table(t,
		"0.0.0.0/0", "default", "10.0.0.0/8", "a", "10.1.0.0/16", "b", "10.1.2.3/32", "c",
		"2001:db8::/32", "six", "2001:db8::1/128", "host")
	for address, want := range map[string]string{
		"192.0.2.1": "default", "10.255.0.1": "a", "10.1.255.255": "b", "10.1.2.3": "c", "10.1.2.2": "b",
		"0.0.0.0": "default", "255.255.255.255": "default", "9.255.255.255": "default", "11.0.0.0": "default",
		"2001:db8::1": "host", "2001:db8::2": "six", "2001:db9::": "", "::": "", "::1": "",
	} {
		expect(t, tab, address, want)
	}
	expect(t, table(t, "::/0", "all"), "2001:db8::1", "all")
	expect(t, table(t, "::/0", "all"), "10.0.0.1", "")
}

// A50: host bits are masked.
func TestHostBits(t *testing.T) {
	tab := table(t, "10.1.2.3/8", "a", "2001:db8::ffff/32", "b")
	expect(t, tab, "10.200.0.1", "a")
	expect(t, tab, "2001:db8:1::", "b")
	e := tab.Edit()
	if !e.Remove(netip.MustParsePrefix("10.9.9.9/8"), "a") || e.Table().Len() != 1 {
		t.Error("a prefix is not removed by the same prefix with other host bits")
	}
}

// A49, A50, B2: an IPv4-mapped prefix is an IPv6 prefix. It takes nothing from
// the peer that has the IPv4 prefix, and does not match IPv4 addresses.
func TestIPv4Mapped(t *testing.T) {
	tab := table(t, "0.0.0.0/0", "four", "192.0.2.0/24", "doc", "::/0", "six",
		"::ffff:0:0/96", "mapped", "::ffff:192.0.2.0/120", "short", "::ffff:0:0/90", "wide")
	for address, want := range map[string]string{
		"10.0.0.1": "four", "192.0.2.7": "doc", "::ffff:10.0.0.1": "mapped", "::ffff:192.0.2.7": "short",
		"::ffc1:0:1": "wide", "2001:db8::1": "six",
	} {
		expect(t, tab, address, want)
	}
	if tab.Len() != 6 {
		t.Errorf("%d prefixes, want 6", tab.Len())
	}
	e := tab.Edit()
	if e.Remove(netip.MustParsePrefix("::/96"), "mapped") || e.Remove(netip.MustParsePrefix("192.0.2.0/24"), "short") {
		t.Error("a prefix was removed by one of the other family")
	}
	expect(t, table(t, "::ffff:0:0/96", "mapped"), "10.0.0.1", "")
	expect(t, table(t, "0.0.0.0/0", "four"), "::ffff:10.0.0.1", "")
}

// A49, B2: a peer that has ::/0 cannot impersonate another peer's IPv4 address
// by writing it as an IPv6 address. It is no impersonation if mapped addresses
// were assigned to the peer explicitly, or if the IPv4 address belongs to the
// same peer or to none.
func TestImpersonates(t *testing.T) {
	for _, c := range []struct {
		prefixes []any
		address  string
		want     bool
	}{
		{[]any{"10.0.0.0/8", "four", "::/0", "six"}, "::ffff:10.0.0.1", true},
		{[]any{"10.0.0.0/8", "four", "::ffff:0:0/95", "six"}, "::ffff:10.0.0.1", true},
		{[]any{"10.0.0.0/8", "four", "::/0", "six"}, "::ffff:11.0.0.1", false},
		{[]any{"10.0.0.0/8", "four", "::/0", "six"}, "::fffe:10.0.0.1", false},
		{[]any{"10.0.0.0/8", "four", "::/0", "six"}, "10.0.0.1", false},
		{[]any{"10.0.0.0/8", "both", "::/0", "both"}, "::ffff:10.0.0.1", false},
		{[]any{"0.0.0.0/0", "four", "::ffff:0:0/96", "six"}, "::ffff:10.0.0.1", false},
		{[]any{"0.0.0.0/0", "four", "::/0", "x", "::ffff:10.0.0.1/128", "six"}, "::ffff:10.0.0.1", false},
		{[]any{"0.0.0.0/0", "four"}, "::ffff:10.0.0.1", false}, // no peer may send this
		{nil, "::ffff:10.0.0.1", false},
	} {
		if got := table(t, c.prefixes...).Impersonates(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%v: Impersonates(%s) = %v, want %v", c.prefixes, c.address, got, c.want)
		}
	}
	var none *Table[string]
	if none.Impersonates(netip.MustParseAddr("::ffff:10.0.0.1")) {
		t.Error("Impersonates returns true for the nil table")
	}
}

// A49, A50: changes in one family, including those of mapped prefixes, do not
// affect lookups in the other one.
func TestFamiliesAreIndependent(t *testing.T) {
	rng := rand.New(rand.NewPCG(96, 4))
	for round := range 300 {
		var four, six, both Editor[int]
		for _, e := range []*Editor[int]{&four, &six, &both} {
			*e = *new(Table[int]).Edit()
		}
		var addrs []netip.Addr
		for range 40 {
			prefix, p := randomPrefix(rng), 1+rng.IntN(8)
			if rng.IntN(2) == 0 && prefix.Addr().Is4() { // the same bytes in the other family
				prefix = netip.PrefixFrom(netip.AddrFrom16(prefix.Addr().As16()), 96+prefix.Bits())
			}
			family := &six
			if prefix.Addr().Is4() {
				family = &four
			}
			if rng.IntN(4) == 0 {
				if got, want := both.Remove(prefix, p), family.Remove(prefix, p); got != want {
					t.Fatalf("round %d: Remove(%v, %d) = %v, want %v", round, prefix, p, got, want)
				}
			} else {
				both.Insert(prefix, p)
				family.Insert(prefix, p)
			}
			a := prefix.Addr()
			addrs = append(addrs, a, a.Unmap(), netip.AddrFrom16(a.As16()))
		}
		all, only := both.Table(), map[bool]*Table[int]{true: four.Table(), false: six.Table()}
		var c Cache[int]
		for _, a := range addrs {
			want, wantOK := only[a.Is4()].Lookup(a)
			if got, ok := all.Lookup(a); got != want || ok != wantOK {
				t.Fatalf("round %d: Lookup(%v) = %d, %v; without the other family %d, %v", round, a, got, ok, want, wantOK)
			}
			if got, ok := c.Lookup(all, a); got != want || ok != wantOK {
				t.Fatalf("round %d: Lookup(%v) of the cache = %d, %v; want %d, %v", round, a, got, ok, want, wantOK)
			}
		}
	}
}

// The zone of an address does not matter.
func TestZone(t *testing.T) {
	tab := table(t, "fe80::/10", "link", "fe80::1/128", "host")
	expect(t, tab, "fe80::1%eth0", "host")
	expect(t, tab, "fe80::2%eth0", "link")
}

// Lookups find nothing in the nil table and the empty one, and for the invalid
// address. Invalid prefixes are not inserted.
func TestEmpty(t *testing.T) {
	var none *Table[string]
	e := none.Edit()
	for _, bad := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33), netip.PrefixFrom(netip.Addr{}, 0)} {
		if _, had := e.Insert(bad, "x"); had || e.Remove(bad, "x") {
			t.Errorf("%v was inserted", bad)
		}
	}
	for _, tab := range []*Table[string]{none, e.Table(), table(t)} {
		expect(t, tab, "10.0.0.1", "")
		expect(t, tab, "::1", "")
		if _, ok := tab.Lookup(netip.Addr{}); ok || tab.Len() != 0 {
			t.Error("an empty table has a prefix or finds the invalid address")
		}
	}
	if _, ok := table(t, "0.0.0.0/0", "x", "::/0", "y").Lookup(netip.Addr{}); ok {
		t.Error("the invalid address belongs to a peer")
	}
}

// A50, B64: a prefix moves from A to B in one step: it belongs to A in the
// table before, to B in the one after, and never to both.
func TestMove(t *testing.T) {
	prefix := netip.MustParsePrefix("10.0.0.0/8")
	before := table(t, "10.0.0.0/8", "a")
	e := before.Edit()
	if previous, had := e.Insert(prefix, "b"); !had || previous != "a" {
		t.Errorf("Insert returned %q, %v; want a, true", previous, had)
	}
	if e.Remove(prefix, "a") {
		t.Error("a prefix of b was removed as one of a")
	}
	if previous, had := e.Insert(prefix, "b"); !had || previous != "b" {
		t.Errorf("Insert of the same again returned %q, %v; want b, true", previous, had)
	}
	after := e.Table()
	expect(t, before, "10.0.0.1", "a")
	expect(t, after, "10.0.0.1", "b")
	if after.Len() != 1 {
		t.Errorf("%d prefixes, want 1", after.Len())
	}
}

// A49, A50, B2, B50: after random changes, with many nested prefixes, lookups
// agree with a linear search, and earlier tables do not change.
func TestAgainstLinearSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(50, 64))
	for round := range 60 {
		m := model{}
		var tab *Table[int]
		type moment struct {
			table *Table[int]
			model model
		}
		var history []moment
		for range 12 {
			e := tab.Edit()
			e.changes = -rng.IntN(100) // until the table is copied
			size := 1 << rng.IntN(7)
			for range size {
				prefix, p := randomPrefix(rng), rng.IntN(8)
				if rng.IntN(3) == 0 {
					if got, want := e.Remove(prefix, p), m.remove(prefix, p); got != want {
						t.Fatalf("round %d: Remove(%v, %d) = %v, want %v", round, prefix, p, got, want)
					}
					continue
				}
				previous, had := e.Insert(prefix, p)
				if wantPrevious, wantHad := m.insert(prefix, p); previous != wantPrevious || had != wantHad {
					t.Fatalf("round %d: Insert(%v) = %d, %v; want %d, %v", round, prefix, previous, had, wantPrevious, wantHad)
				}
			}
			tab = e.Table()
			history = append(history, moment{tab, m.clone()})
			e.Insert(randomPrefix(rng), 99) // must not change the returned table
		}
		for _, h := range history {
			var addrs []netip.Addr
			for range 50 {
				addrs = append(addrs, randomPrefix(rng).Addr())
			}
			h.model.equal(t, h.table, addrs...)
		}
	}
}

// randomPrefix returns a prefix of one of few addresses and any length, so that
// prefixes nest and repeat.
func randomPrefix(rng *rand.Rand) netip.Prefix {
	few := []byte{0, 1, 127, 128, 255}
	if rng.IntN(2) == 0 {
		var a [4]byte
		for i := range a {
			a[i] = few[rng.IntN(len(few))]
		}
		return netip.PrefixFrom(netip.AddrFrom4(a), rng.IntN(33))
	}
	var a [16]byte
	if rng.IntN(4) == 0 {
		a[10], a[11] = 0xff, 0xff
	}
	for i := range 4 {
		a[rng.IntN(2)*12+i] = few[rng.IntN(len(few))]
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), rng.IntN(129))
}

// A50, B50: after a change of a few prefixes among many, the new table shares
// the rest with the old one, which does not change.
func TestSmallChangeOfALargeTable(t *testing.T) {
	e := new(Table[int]).Edit()
	const n = 20 * copyRatio
	for i := range n {
		e.Insert(nthPrefix(i), i)
	}
	tables := []*Table[int]{e.Table()}
	for step := 1; step <= 40; step++ { // each moves one prefix and removes another
		e := tables[step-1].Edit()
		if previous, had := e.Insert(nthPrefix(step), -step); !had || previous != step || e.owned {
			t.Fatalf("step %d: Insert = %d, %v, want %d, true; the table was copied: %v", step, previous, had, step, e.owned)
		}
		if !e.Remove(nthPrefix(n-step), n-step) || e.owned {
			t.Fatalf("step %d: not removed, or the table was copied (%v)", step, e.owned)
		}
		tables = append(tables, e.Table())
	}
	for step, tab := range tables {
		if tab.Len() != n-step {
			t.Fatalf("table %d has %d prefixes, want %d", step, tab.Len(), n-step)
		}
		for i := range n {
			want, there := i, i < n-step
			if 1 <= i && i <= step {
				want = -i
			}
			if p, ok := tab.Lookup(nthPrefix(i).Addr()); ok != there || ok && p != want {
				t.Fatalf("table %d: prefix %d belongs to %d, %v; want %d, %v", step, i, p, ok, want, there)
			}
		}
	}
}

// B22: 130,560 prefixes are inserted in one change, then all are removed.
func TestManyPrefixes(t *testing.T) {
	e := new(Table[int]).Edit()
	const n = 130_560
	for i := range n {
		e.Insert(nthPrefix(i), i%1000)
	}
	full := e.Table()
	if full.Len() != n {
		t.Fatalf("%d prefixes, want %d", full.Len(), n)
	}
	e = full.Edit()
	for i := range n {
		if !e.Remove(nthPrefix(i), i%1000) {
			t.Fatalf("prefix %d was not removed", i)
		}
	}
	if e.Table().Len() != 0 || full.Len() != n {
		t.Error("not all prefixes were removed, or some were removed from the old table, too")
	}
	for i := range n {
		if p, ok := full.Lookup(nthPrefix(i).Addr()); !ok || p != i%1000 {
			t.Fatalf("prefix %d belongs to %d, %v; want %d", i, p, ok, i%1000)
		}
	}
}

// nthPrefix returns the /26 prefixes of IPv4 in a scattered order.
func nthPrefix(i int) netip.Prefix {
	a := uint32(i) * 2_654_435_769 << 6
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 26)
}

// FuzzTable executes steps of 8 bytes each: operation, peer, address, length,
// unused.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 10, 0, 0, 0, 8, 0, 0, 2, 10, 1, 0, 0, 16, 0, 1, 1, 10, 0, 0, 0, 8, 0})
	f.Add([]byte{2, 1, 0, 0, 0, 0, 0, 0, 2, 2, 1, 2, 3, 4, 128, 0, 4, 2, 1, 2, 3, 4, 128, 0, 3, 2, 1, 2, 3, 4, 128, 0})
	f.Fuzz(func(t *testing.T, steps []byte) {
		m := model{}
		e := new(Table[int]).Edit()
		var addrs []netip.Addr
		for ; len(steps) >= 8; steps = steps[8:] {
			a, p := netip.AddrFrom4([4]byte(steps[2:6])), int(steps[1])
			prefix := netip.PrefixFrom(a, int(steps[6])%33)
			if steps[0]&2 != 0 {
				a = netip.AddrFrom16([16]byte{0: steps[2], 7: steps[3], 10: 0xff, 11: 0xff, 14: steps[4], 15: steps[5]})
				prefix = netip.PrefixFrom(a, int(steps[6])%129)
			}
			addrs = append(addrs, a)
			switch {
			case steps[0]&4 != 0:
				e.Table()
				e.changes = -int(steps[1]) // delays the next copy of the table
			case steps[0]&1 != 0:
				if got, want := e.Remove(prefix, p), m.remove(prefix, p); got != want {
					t.Fatalf("Remove(%v, %d) = %v, want %v", prefix, p, got, want)
				}
			default:
				previous, had := e.Insert(prefix, p)
				if wantPrevious, wantHad := m.insert(prefix, p); previous != wantPrevious || had != wantHad {
					t.Fatalf("Insert(%v) = %d, %v; want %d, %v", prefix, previous, had, wantPrevious, wantHad)
				}
			}
		}
		m.equal(t, e.Table(), addrs...)
	})
}
