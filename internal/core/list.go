package core

import (
	"cmp"
	"iter"
	"slices"
)

// A memberList has the members in the order of addition. It is an array, because to
// visit 100,000 of them takes half as long as through links from one to the next.
type memberList struct {
	slots []slot // with ascending numbers
	holes int    // slots without a member
	added uint64
	walks []*walk // in progress
}

// A slot is the place of a member.
type slot struct {
	number uint64 // that of the member
	p      *member
}

// minSlots is the number of slots up to which holes do not matter.
const minSlots = 64

// add adds p at the end. It must not be called while all is in use.
func (l *memberList) add(p *member) {
	if len(l.slots) >= minSlots && l.holes > len(l.slots)/2 {
		l.compact()
	}
	l.added++
	p.number = l.added
	l.slots = append(l.slots, slot{p.number, p})
}

func (l *memberList) remove(p *member) {
	l.slots[l.search(p.number)].p = nil
	if l.holes++; l.holes == len(l.slots) && len(l.walks) == 0 {
		l.slots, l.holes = nil, 0
	}
}

// search returns the index of the first slot with this number or a greater one.
func (l *memberList) search(number uint64) int {
	i, _ := slices.BinarySearchFunc(l.slots, number, func(s slot, n uint64) int { return cmp.Compare(s.number, n) })
	return i
}

// compact removes the holes, except those at which a walk still has to visit a member
// that was saved before it was removed.
func (l *memberList) compact() {
	kept := make([]slot, 0, len(l.slots)-l.holes)
	l.holes = 0
	for _, s := range l.slots {
		if s.p == nil {
			if !l.saved(s.number) {
				continue
			}
			l.holes++
		}
		kept = append(kept, s)
	}
	l.slots = kept
}

func (l *memberList) saved(number uint64) bool {
	return slices.ContainsFunc(l.walks, func(w *walk) bool { return w.early[number] != nil })
}

// all returns the members in the order of addition. The loop may remove any of them.
func (l *memberList) all() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for _, s := range l.slots {
			if s.p != nil && !yield(s.p) {
				return
			}
		}
	}
}
