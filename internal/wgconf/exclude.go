package wgconf

import (
	"net/netip"
	"slices"
)

// Subtract gives prefixes for exactly those addresses that are in allowed and
// not in excluded. Each prefix of allowed from which nothing is missing stays
// as it is. Another one is replaced by the fewest prefixes that cover what is
// left of it, lowest address first. None is ever joined with those of another:
// that would change which peer has the longer prefix.
func Subtract(allowed, excluded []netip.Prefix) []netip.Prefix {
	var left []netip.Prefix
	seen := map[netip.Prefix]bool{}
	for _, a := range allowed {
		for _, p := range without(a.Masked(), excluded) {
			if !seen[p] {
				seen[p] = true
				left = append(left, p)
			}
		}
	}
	return left
}

// without is what is left of p. It halves p until a half is free of excluded
// addresses, or has no others.
func without(p netip.Prefix, excluded []netip.Prefix) []netip.Prefix {
	var inside []netip.Prefix
	for _, e := range excluded {
		if !e.Overlaps(p) {
			continue
		}
		if e.Bits() <= p.Bits() {
			return nil
		}
		inside = append(inside, e)
	}
	if len(inside) == 0 {
		return []netip.Prefix{p}
	}
	low, high := halves(p)
	return slices.Concat(without(low, inside), without(high, inside))
}

// halves of a prefix that is no single address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bit := p.Bits()
	b := p.Addr().AsSlice()
	b[bit/8] |= 0x80 >> (bit % 8)
	addr, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), bit+1), netip.PrefixFrom(addr, bit+1)
}
