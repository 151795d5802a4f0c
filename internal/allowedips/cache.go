package allowedips

import (
	"encoding/binary"
	"net/netip"
)

// cacheSlots is how many addresses a Cache remembers at most, in 32 KB. Of a few
// hundred at once most have a place of their own.
const (
	cacheBits  = 10
	cacheSlots = 1 << cacheBits
)

// Cache remembers what a table answered for the addresses asked about last. It
// belongs to one goroutine. The zero Cache is ready.
//
// A data path asks about the same few hundred addresses again and again, and a
// table of a million prefixes lies in memory that is slow to reach: there an
// answer that is remembered takes some 15 ns, and one that is not as long as the
// table takes. Each address has one place, which it shares with others by
// chance; the later one gets it.
//
// What it remembers holds for one table and is void with the next one. Until it
// is asked about that, it keeps the old one, and up to cacheSlots peers, alive.
type Cache[P comparable] struct {
	table      *Table[P]
	generation uint32 // of table; entries of others are void
	slots      [cacheSlots]slot[P]

	// The last question and its answer: the next question is often the same.
	last     netip.Addr
	lastOK   bool
	lastPeer P
}

type slot[P comparable] struct {
	high, low  uint64 // of the address as 16 bytes, IPv4 ones as IPv4-mapped
	generation uint32
	is4        bool // tells an IPv4 address from its IPv4-mapped form
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
	// An IPv4 address and its IPv4-mapped form are the same 16 bytes and share a
	// place. Zones count neither here nor in the table.
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

// reset begins with another table.
func (c *Cache[P]) reset(t *Table[P]) {
	c.table = t
	var nobody P
	c.last, c.lastPeer, c.lastOK = netip.Addr{}, nobody, false
	if c.generation++; c.generation == 0 {
		c.slots = [cacheSlots]slot[P]{} // after 2^32 tables: entries of the first ones may still be there
		c.generation = 1
	}
}

// slotOf is where an address is remembered. Who knows the constant can choose
// addresses that drive each other out; then the table is asked, as without.
func slotOf(high, low uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: neighbours are spread
	return ((high*odd ^ low) * odd) >> (64 - cacheBits)
}
