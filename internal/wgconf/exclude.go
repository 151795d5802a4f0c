package wgconf

import (
	"net/netip"
	"slices"
)

// Subtract returns prefixes for exactly those addresses that are in allowed and not in
// excluded. A prefix of allowed without excluded addresses stays as it is. Any other is
// replaced by the fewest prefixes that cover the rest of it, lowest address first.
// Prefixes are never joined: that could change which peer has the longest prefix for an
// address.
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

// without returns the rest of p. It halves p until all or none of the addresses of a
// half are excluded.
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

// halves returns the halves of a prefix that is no single address.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bit := p.Bits()
	b := p.Addr().AsSlice()
	b[bit/8] |= 0x80 >> (bit % 8)
	addr, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), bit+1), netip.PrefixFrom(addr, bit+1)
}
