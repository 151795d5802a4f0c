package core

import "wgd/internal/clock"

// lookHeap is a binary heap of members, ordered by NextLook. Each member stores
// its position, counted from 1, so that it can be moved without a search.
type lookHeap []*member

// schedule sets the time of the next look at p; clock.Never means no look.
func (m *Machine) schedule(p *member, t clock.Time) {
	h := &m.looks
	old := p.shared.NextLook()
	p.shared.SetNextLook(t)
	switch {
	case p.heapIndex == 0 && t != clock.Never:
		*h = append(*h, p)
		p.heapIndex = len(*h)
		h.up(p.heapIndex - 1)
	case p.heapIndex == 0:
	case t == clock.Never:
		h.remove(p.heapIndex - 1)
	case t < old:
		h.up(p.heapIndex - 1)
	case t > old:
		h.down(p.heapIndex - 1)
	}
}

func (h *lookHeap) remove(i int) {
	last := len(*h) - 1
	(*h)[i].heapIndex = 0
	if i != last {
		(*h)[i] = (*h)[last]
		(*h)[i].heapIndex = i + 1
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
	h[i].heapIndex, h[j].heapIndex = i+1, j+1
}
