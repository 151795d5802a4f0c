package allowedips

import "net/netip"

// copyRatio is how many prefixes there may be to each change before the whole
// table is copied. To change one prefix takes, with the copies of the nodes above
// it, 20 to 50 µs; to copy a table about 0.1 µs a prefix (BenchmarkChange,
// BenchmarkClone).
const copyRatio = 256

// Editor makes a new Table out of an old one. It is not safe for concurrent
// use.
//
// The first changes copy the nodes on their way through the tree and share
// the others with the old table; once there were so many of them that a copy
// of everything is cheap beside them, it makes that copy and changes it where
// it stands. So a change costs what it touches, and 100,000 changes one copy.
type Editor[P comparable] struct {
	tree    *tree[P]
	owned   bool // nobody else has any node of tree
	changes int  // since it was last shared
}

// Insert gives prefix to p and takes it from who had it (A50, B64), whom it
// returns. Host bits are masked. An invalid prefix changes nothing.
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

// Remove takes prefix from p. It returns false, and changes nothing, where p
// does not have it: it may be another peer's by now.
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

// Table is the table as edited so far. Later edits do not change it.
func (e *Editor[P]) Table() *Table[P] {
	e.owned, e.changes = false, 0
	return (*Table[P])(e.tree)
}

// makeOwn reports whether tree may be changed where it stands, having copied it if
// it is time.
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
