package core

import "wgd/internal/clock"

// lookHeap has the members at which the machine is going to look, the next one
// first: children of i are 2i+1 and 2i+2. A member knows its place (from 1), so
// that it is moved without a search.
type lookHeap []*member

// schedule sets the next look at p; clock.Never: none.
func (m *Machine) schedule(p *member, t clock.Time) {
	h := &m.looks
	old := p.shared.NextLook()
	p.shared.SetNextLook(t)
	switch {
	case p.place == 0 && t != clock.Never:
		*h = append(*h, p)
		p.place = len(*h)
		h.up(p.place - 1)
	case p.place == 0:
	case t == clock.Never:
		h.remove(p.place - 1)
	case t < old:
		h.up(p.place - 1)
	case t > old:
		h.down(p.place - 1)
	}
}

func (h *lookHeap) remove(i int) {
	last := len(*h) - 1
	(*h)[i].place = 0
	if i != last {
		(*h)[i] = (*h)[last]
		(*h)[i].place = i + 1
	}
	(*h)[last] = nil
	*h = (*h)[:last]
	if i != last {
		h.down(i)
		h.up(i)
	}
}

func (h lookHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h lookHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h lookHeap) less(i, j int) bool { return h[i].shared.NextLook() < h[j].shared.NextLook() }

func (h lookHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}
