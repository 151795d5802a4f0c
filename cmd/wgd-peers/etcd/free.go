package etcd

import (
	"context"
	"net/netip"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"wgd/cmd/wgd-peers/store"
)

// freeAddress returns an address of a network that no peer has: the first one after that
// which was given last, or else the first one of the network.
func (c *Cluster) freeAddress(ctx context.Context, network netip.Prefix) (netip.Addr, error) {
	network = network.Masked()
	latest := c.prefix + latestKeys + network.String()
	found, _, err := c.get(ctx, []string{latest, c.prefix + gatewayKey}, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	var taken []netip.Addr
	if kv := found[c.prefix+gatewayKey]; kv != nil {
		if g, err := decode[store.Gateway](kv.Value); err == nil {
			for _, a := range g.Addresses {
				taken = append(taken, a.Addr())
			}
		}
	}
	begin := network.Addr()
	if begin.BitLen()-network.Bits() > 1 { // with two addresses or one, each is a host's
		begin = begin.Next()
	}
	if network.Addr().Is4() && network.Bits() < 31 {
		taken = append(taken, lastAddress(network)) // of broadcasts
	}
	for _, pass := range []struct {
		from netip.Addr
		skip bool
	}{{afterLatest(found[latest], network), true}, {begin, true}, {begin, false}} {
		a, err := c.search(ctx, network, pass.from, taken, pass.skip)
		if a.IsValid() || err != nil {
			return a, err
		}
	}
	return netip.Addr{}, store.Refusef("network %s: all addresses are taken: give another network, or delete peers", network)
}

// afterLatest returns the address after the one that was given last, if that is known.
func afterLatest(kv *mvccpb.KeyValue, network netip.Prefix) netip.Addr {
	if kv == nil {
		return netip.Addr{}
	}
	if a, err := netip.ParseAddr(string(kv.Value)); err == nil && network.Contains(a) {
		return a.Next()
	}
	return netip.Addr{}
}

// search returns a free address of a network from an address on. It asks for as many
// addresses at once as one transaction can. If skip is true, it skips more and more addresses
// after those that are taken, because a million of them may follow each other.
func (c *Cluster) search(ctx context.Context, network netip.Prefix, from netip.Addr, taken []netip.Addr, skip bool) (netip.Addr, error) {
	bits := min(network.Bits()+1, from.BitLen())
	for distance := uint32(0); from.IsValid() && network.Contains(from); distance = min(2*distance+1, 1<<30) {
		if skip {
			from = plus(from, distance)
		}
		if !network.Contains(from) {
			break
		}
		var candidates []netip.Addr
		var keys []string
		asked := map[string]bool{}
		for a := from; a.IsValid() && network.Contains(a) && len(keys) <= maxOps; a = a.Next() {
			candidates = append(candidates, a)
			for _, k := range c.around(a, bits) {
				if !asked[k] {
					asked[k] = true
					keys = append(keys, k)
				}
			}
		}
		found, _, err := c.get(ctx, keys, 0)
		if err != nil {
			return netip.Addr{}, err
		}
		for _, a := range candidates {
			if a.Less(from) {
				continue // it is in a prefix that a peer has
			}
			if end := c.takenUntil(a, bits, found); end.IsValid() {
				from = end.Next()
				continue
			}
			if !slices.Contains(taken, a) {
				return a, nil
			}
			from = a.Next()
		}
	}
	return netip.Addr{}, nil
}

// plus returns the address that is n later, or none.
func plus(a netip.Addr, n uint32) netip.Addr {
	b := a.AsSlice()
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		n += uint32(b[i]) // b[i] is below 256, and n below 1<<31
		b[i] = byte(n)
		n >>= 8
	}
	if n > 0 {
		return netip.Addr{}
	}
	a, _ = netip.AddrFromSlice(b)
	return a
}

// takenUntil returns the last address of the longest prefix of an address that a peer has,
// or none if no peer has one.
func (c *Cluster) takenUntil(a netip.Addr, bits int, found map[string]*mvccpb.KeyValue) netip.Addr {
	for length := a.BitLen(); length >= bits; length-- {
		if p, err := a.Prefix(length); err == nil && found[c.prefix+addressesKeys+p.String()] != nil {
			return lastAddress(p)
		}
	}
	return netip.Addr{}
}

// lastAddress returns the last address of a prefix.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
