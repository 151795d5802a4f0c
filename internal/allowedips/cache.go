package allowedips

import (
	"encoding/binary"
	"net/netip"
)

// cacheSlots is the maximum number of addresses in a Cache, which takes 32 KB.
// A few hundred addresses rarely collide.
const (
	cacheBits  = 10
	cacheSlots = 1 << cacheBits
)

// A Cache caches the results of recent lookups in a table. Only one goroutine
// may use it. The zero Cache is ready to use.
//
// A data path looks up the same few hundred addresses repeatedly, and a table
// of a million prefixes does not fit into the processor's caches. A lookup that
// hits takes about 15 ns; a miss takes as long as the table. Each address has
// one slot, which it may share with others; a newer entry replaces the older
// one.
//
// Entries are valid for one table only. Until the first lookup in another
// table, the Cache keeps the old one and up to cacheSlots peers alive.
type Cache[P comparable] struct {
	table      *Table[P]
	generation uint32 // of table; entries of other generations are invalid
	slots      [cacheSlots]slot[P]

	// The last lookup and its result, because the next lookup is often the
	// same.
	last     netip.Addr
	lastOK   bool
	lastPeer P
}

type slot[P comparable] struct {
	high, low  uint64 // of the address as 16 bytes, IPv4 ones as IPv4-mapped
	generation uint32
	is4        bool // distinguishes an IPv4 address from its IPv4-mapped form
	ok         bool
	peer       P
}

// Lookup is t.Lookup(a).
func (c *Cache[P]) Lookup(t *Table[P], a netip.Addr) (p P, ok bool) {
	if t != c.table {
		c.reset(t)
	}
	if a == c.last { // also where both are invalid
		return c.lastPeer, c.lastOK
	}
	if !a.IsValid() {
		return p, false
	}
	// An IPv4 address and its IPv4-mapped form have the same 16 bytes and share
	// a slot. Zones do not matter, neither here nor in the table.
	b, is4 := a.As16(), a.Is4()
	high, low := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	s := &c.slots[slotOf(high, low)]
	if s.generation != c.generation || s.low != low || s.high != high || s.is4 != is4 {
		p, ok = t.Lookup(a)
		*s = slot[P]{high, low, c.generation, is4, ok, p}
	}
	c.last, c.lastPeer, c.lastOK = a, s.peer, s.ok
	return s.peer, s.ok
}

// reset switches to another table.
func (c *Cache[P]) reset(t *Table[P]) {
	c.table = t
	var nobody P
	c.last, c.lastPeer, c.lastOK = netip.Addr{}, nobody, false
	if c.generation++; c.generation == 0 {
		c.slots = [cacheSlots]slot[P]{} // after 2^32 tables, entries of the first ones may still exist
		c.generation = 1
	}
}

// slotOf returns the slot of an address. An attacker can choose addresses that
// share a slot; then each lookup takes as long as without the Cache.
func slotOf(high, low uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio spreads adjacent addresses
	return ((high*odd ^ low) * odd) >> (64 - cacheBits)
}
