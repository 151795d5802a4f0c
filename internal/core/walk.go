package core

import "slices"

// A walk visits all peers in parts, so that the machine can do other work between them.
// It visits those that there are when it begins, with the configuration of that moment
// (A60): the machine has a peer saved before it changes its configuration. So no part of
// a walk is longer than another and the walk ends, however often that happens.
type walk struct {
	visitor visitor
	next    uint64 // number of the first member that has not had its turn
	last    uint64 // number of the last that gets one
	// early has, by their numbers, the members that were saved, and what is left to do
	// when it is their turn.
	early map[uint64]func()
}

// A visitor does the work of a walk. In the order of addition, visit is called for each
// peer. If its configuration changes or it is removed before that, save is called first,
// and what that returns is called in place of visit.
type visitor interface {
	visit(*member)
	save(*member) func()
}

func (m *Machine) beginWalk(w *walk, v visitor) {
	*w = walk{visitor: v, last: m.list.added}
	m.list.walks = append(m.list.walks, w)
}

// visit visits up to n more peers, and reports whether there are no more.
func (w *walk) visit(m *Machine, n int) (complete bool) {
	slots := m.list.slots
	for i := m.list.search(w.next); i < len(slots) && slots[i].number <= w.last; i++ {
		s := &slots[i]
		after := w.early[s.number]
		switch {
		case s.p == nil && after == nil:
			continue
		case n == 0:
			return false
		case after != nil:
			after()
		default:
			w.visitor.visit(s.p)
		}
		w.next = s.number + 1
		n--
	}
	w.end(m)
	return true
}

func (w *walk) end(m *Machine) {
	w.next, w.early = w.last+1, nil
	m.list.walks = slices.DeleteFunc(m.list.walks, func(other *walk) bool { return other == w })
	if len(m.list.walks) == 0 {
		m.list.walks = nil
	}
}

// beforeChange must be called before the configuration of p changes, or p is removed.
func (m *Machine) beforeChange(p *member) {
	for _, w := range m.list.walks {
		if p.number < w.next || p.number > w.last || w.early[p.number] != nil {
			continue
		}
		if w.early == nil {
			w.early = map[uint64]func(){}
		}
		w.early[p.number] = w.visitor.save(p)
	}
}
