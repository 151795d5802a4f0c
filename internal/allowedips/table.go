// Package allowedips says which peer an inner address belongs to: the longest
// prefix decides (§2, A48, A49).
//
// A Table never changes. Who wants another one edits it: the old table and the
// new one share what is equal in them, so a change of one prefix among a
// million costs microseconds, and whoever still looks into the old table sees
// the old state and no mixture (A50).
package allowedips

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Table maps prefixes to peers. The nil Table is empty.
type Table[P comparable] struct{ tree *bart.Table[held[P]] }

// held hides the methods of P from the tree, which would call a Clone or an
// Equal that it finds.
type held[P comparable] struct{ p P }

// Lookup returns the peer with the longest prefix that contains a. An
// IPv4-mapped IPv6 address is the IPv4 address that it stands for, wherever it
// comes from: the holder of ::/0 does not speak for 10.0.0.1 by writing it
// as ::ffff:10.0.0.1 (A49).
func (t *Table[P]) Lookup(a netip.Addr) (p P, ok bool) {
	if t == nil {
		return p, false
	}
	h, ok := t.tree.Lookup(a.Unmap())
	return h.p, ok
}

// Len is the number of prefixes.
func (t *Table[P]) Len() int {
	if t == nil {
		return 0
	}
	return t.tree.Size()
}

// Edit begins a change of the table.
func (t *Table[P]) Edit() *Editor[P] {
	if t == nil {
		return &Editor[P]{tree: new(bart.Table[held[P]])}
	}
	return &Editor[P]{tree: t.tree}
}

// Editor makes a new Table out of an old one, which stays as it is. It is not
// safe for concurrent use.
type Editor[P comparable] struct {
	tree *bart.Table[held[P]]
}

// Insert gives prefix to p and takes it from who had it (A50, B64), whom it
// returns. An invalid prefix changes nothing.
func (e *Editor[P]) Insert(prefix netip.Prefix, p P) (previous P, had bool) {
	h, had := e.tree.Get(prefix)
	e.tree = e.tree.InsertPersist(prefix, held[P]{p})
	return h.p, had
}

// Remove takes prefix from p. It returns false, and changes nothing, when p
// does not have it.
func (e *Editor[P]) Remove(prefix netip.Prefix, p P) bool {
	if h, had := e.tree.Get(prefix); !had || h.p != p {
		return false
	}
	e.tree = e.tree.DeletePersist(prefix)
	return true
}

// Table is the table as edited so far; further edits do not change it.
func (e *Editor[P]) Table() *Table[P] { return &Table[P]{e.tree} }
