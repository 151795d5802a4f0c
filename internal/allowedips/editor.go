package allowedips

import "net/netip"

// copyRatio is the number of prefixes per change below which the whole table is
// copied. Changing one prefix takes 20 to 50 µs, including copies of the nodes
// above it; copying a table takes about 0.1 µs per prefix (BenchmarkChange,
// BenchmarkClone).
const copyRatio = 256

// An Editor makes a new Table from an old one. It is not safe for concurrent
// use.
//
// The first changes copy the nodes on the path to the prefix and share the
// others with the old table. After so many changes that copying the whole tree
// is cheaper, the Editor copies it and changes the copy in place. So a few
// changes cost only the nodes they touch, and 100,000 changes cost one copy.
type Editor[P comparable] struct {
	tree    *tree[P]
	owned   bool // no node of tree is shared
	changes int  // since the tree was last shared
}

// Insert assigns prefix to p, takes it from the peer that had it, if any, and
// returns that peer (A50, B64). Host bits are masked. An invalid prefix changes
// nothing.
func (e *Editor[P]) Insert(prefix netip.Prefix, p P) (previous P, had bool) {
	prefix, ok := Normal(prefix)
	if !ok {
		return previous, false
	}
	h, had := e.tree.Get(prefix)
	if had && h.p == p {
		return p, true
	}
	if e.makeOwn() {
		e.tree.Insert(prefix, held[P]{p})
	} else {
		e.tree = e.tree.InsertPersist(prefix, held[P]{p})
	}
	return h.p, had
}

// Remove takes prefix from p. If p does not have it, because another peer has
// it by now, for example, Remove returns false and changes nothing.
func (e *Editor[P]) Remove(prefix netip.Prefix, p P) bool {
	prefix, ok := Normal(prefix)
	if !ok {
		return false
	}
	if h, had := e.tree.Get(prefix); !had || h.p != p {
		return false
	}
	if e.makeOwn() {
		e.tree.Delete(prefix)
	} else {
		e.tree = e.tree.DeletePersist(prefix)
	}
	return true
}

// Table returns the table as edited so far. Later edits do not change it.
func (e *Editor[P]) Table() *Table[P] {
	e.owned, e.changes = false, 0
	return (*Table[P])(e.tree)
}

// makeOwn copies the tree if enough was changed, and reports whether the tree
// may be changed in place.
func (e *Editor[P]) makeOwn() bool {
	if e.owned {
		return true
	}
	e.changes++
	if e.changes*copyRatio > e.tree.Size() {
		e.tree, e.owned = e.tree.Clone(), true
	}
	return e.owned
}
