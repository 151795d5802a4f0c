package core

// A walk visits all peers in parts, so that the machine can do other work between them.
// The peers are those of one moment (A60): if the configuration changes, the walk begins
// again.
type walk struct {
	begun    bool
	next     *member // the first that has not been visited
	changes  uint64  // Machine.changes when the walk began
	restarts int
}

// maxRestarts is how often a walk begins again because the configuration has changed.
// After that, it is done in one part.
const maxRestarts = 3

// visit calls f for up to n more peers, and reports whether there are no more. It calls
// begin before the first of all.
func (w *walk) visit(m *Machine, n int, begin func(), f func(*member)) (complete bool) {
	if w.begun && w.changes != m.changes {
		w.begun = false
		w.restarts++
	}
	if !w.begun {
		w.begun, w.changes, w.next = true, m.changes, m.first
		begin()
	}
	if w.restarts > maxRestarts {
		n = len(m.members)
	}
	for ; w.next != nil && n > 0; w.next, n = w.next.after, n-1 {
		f(w.next)
	}
	return w.next == nil
}
