package wgconf

import (
	"net/netip"
	"slices"
	"testing"
)

// space4 and space6 are small spaces: all prefixes below one of 28 and of 124
// bits. A set of addresses is a set of bits.
func smallSpace(base netip.Prefix, bits int) (list []netip.Prefix) {
	for length := base.Bits(); length <= base.Addr().BitLen(); length++ {
		for a, n := base.Addr(), 0; n < 1<<bits; a, n = a.Next(), n+1 {
			if p := netip.PrefixFrom(a, length); p == p.Masked() {
				list = append(list, p)
			}
		}
	}
	return list
}

// bitsOf is the naive model: the addresses of base that are in one of the
// prefixes, counted one by one.
func bitsOf(base netip.Prefix, list []netip.Prefix) (set uint32) {
	n := 0
	for a := base.Addr(); base.Contains(a); a = a.Next() {
		if slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) }) {
			set |= 1 << n
		}
		if n++; n == 32 {
			break
		}
	}
	return set
}

// fewest is how many prefixes of the space a set needs: those that are within it
// and whose parent is not.
func fewest(base netip.Prefix, space []netip.Prefix, set uint32) (n int) {
	within := func(p netip.Prefix) bool { b := bitsOf(base, []netip.Prefix{p}); return b&^set == 0 }
	for _, p := range space {
		if within(p) && (p.Bits() == base.Bits() || !within(netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked())) {
			n++
		}
	}
	return n
}

// TestSubtractIsExact: against the model, over every prefix of a small space of
// either family without every one, two and three others.
func TestSubtractIsExact(t *testing.T) {
	for _, base := range []string{"10.1.2.240/29", "fd00::8/125", "::ffff:10.0.0.8/125", "255.255.255.248/29"} {
		base := netip.MustParsePrefix(base)
		space := smallSpace(base, 3)
		if len(space) != 15 {
			t.Fatalf("%d prefixes", len(space))
		}
		for _, allowed := range space {
			for i, e1 := range space {
				for j, e2 := range space[:i+1] {
					for _, e3 := range space[:j+1] {
						checkSubtract(t, base, space, allowed, []netip.Prefix{e1, e2, e3})
					}
				}
			}
		}
	}
}

func checkSubtract(t *testing.T, base netip.Prefix, space []netip.Prefix, allowed netip.Prefix, excluded []netip.Prefix) {
	t.Helper()
	got := Subtract([]netip.Prefix{allowed}, excluded)
	want := bitsOf(base, []netip.Prefix{allowed}) &^ bitsOf(base, excluded)
	if set := bitsOf(base, got); set != want {
		t.Fatalf("%s without %s: %s", allowed, excluded, got)
	}
	if n := fewest(base, space, want); len(got) != n {
		t.Fatalf("%s without %s: %s, and %d prefixes are enough", allowed, excluded, got, n)
	}
	if !slices.IsSortedFunc(got, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) }) {
		t.Fatalf("%s without %s: %s is not in order", allowed, excluded, got)
	}
}

// The prefixes that nothing is taken from stay, in their order, and none is
// joined with another: another peer may have a prefix between them.
func TestSubtractKeepsWhatIsWhole(t *testing.T) {
	p := netip.MustParsePrefix
	for _, c := range []struct{ allowed, excluded, want []netip.Prefix }{
		{nil, []netip.Prefix{p("::/0")}, nil},
		{[]netip.Prefix{p("128.0.0.0/1"), p("0.0.0.0/1"), p("10.0.0.0/8")}, nil, []netip.Prefix{p("128.0.0.0/1"), p("0.0.0.0/1"), p("10.0.0.0/8")}},
		{[]netip.Prefix{p("10.0.0.0/8"), p("10.0.0.0/8"), p("0.0.0.0/0")}, []netip.Prefix{p("128.0.0.0/1"), p("::/0")}, []netip.Prefix{p("10.0.0.0/8"), p("0.0.0.0/1")}},
		{[]netip.Prefix{p("0.0.0.0/0"), p("::/0")}, []netip.Prefix{p("192.168.0.0/16"), p("::/1")}, []netip.Prefix{
			p("0.0.0.0/1"), p("128.0.0.0/2"), p("192.0.0.0/9"), p("192.128.0.0/11"), p("192.160.0.0/13"), p("192.169.0.0/16"), p("192.170.0.0/15"),
			p("192.172.0.0/14"), p("192.176.0.0/12"), p("192.192.0.0/10"), p("193.0.0.0/8"), p("194.0.0.0/7"), p("196.0.0.0/6"), p("200.0.0.0/5"),
			p("208.0.0.0/4"), p("224.0.0.0/3"), p("8000::/1")}},
	} {
		if got := Subtract(c.allowed, c.excluded); !slices.Equal(got, c.want) {
			t.Errorf("%s without %s: %s, want %s", c.allowed, c.excluded, got, c.want)
		}
	}
}
