package history

import (
	"time"

	"wgd/key"
)

// A Record is what is known about a peer in a range of time.
type Record struct {
	NamedPeer
	Connected time.Duration
	Unknown   time.Duration
	// Connections is how many times it was connected.
	Connections int
	// LastSeen is the last event that shows that it was there, also outside of the
	// range; zero if there is none.
	LastSeen time.Time
	// AtEnd is its state at the end of the range; zero: it is not connected.
	AtEnd State
	Cells []Cell
	Spans []Span // if they are kept
}

// A Cell is one of equal parts of the range.
type Cell struct{ Connected, Unknown time.Duration }

// Records collects the spans of a Replay.
type Records struct {
	From, To time.Time
	cells    int
	keep     func(key.Public) bool
	byKey    map[key.Public]*Record
}

// NewRecords returns an empty collection for a range. cells is the number of parts of it
// for which each Record has a Cell. The spans of peers for which keep returns true are
// kept; without them, a Record has a fixed size.
func NewRecords(from, to time.Time, cells int, keep func(key.Public) bool) *Records {
	return &Records{From: from, To: to, cells: cells, keep: keep, byKey: map[key.Public]*Record{}}
}

// Add adds a span, of which it takes what is in the range.
func (c *Records) Add(s Span) {
	s, ok := s.Clip(c.From, c.To)
	if !ok {
		return
	}
	r := c.record(s.Peer)
	if s.State == Connected {
		r.Connected += s.Duration()
		r.Connections++
	} else {
		r.Unknown += s.Duration()
	}
	if s.End == Open {
		r.AtEnd = s.State
	}
	if c.cells > 0 {
		c.fill(r.Cells, &s)
	}
	if c.keep(s.Peer) {
		r.Spans = append(r.Spans, s)
	}
}

func (c *Records) record(public key.Public) *Record {
	r := c.byKey[public]
	if r == nil {
		r = &Record{Cells: make([]Cell, c.cells)}
		c.byKey[public] = r
	}
	return r
}

// fill adds a span to the cells that it touches.
func (c *Records) fill(cells []Cell, s *Span) {
	width := c.CellWidth()
	first := int(s.From.Sub(c.From) / width)
	for i := first; i < len(cells); i++ {
		begin := c.From.Add(time.Duration(i) * width)
		from, to := later(begin, s.From), earlier(begin.Add(width), s.To)
		if !from.Before(to) {
			return
		}
		if s.State == Connected {
			cells[i].Connected += to.Sub(from)
		} else {
			cells[i].Unknown += to.Sub(from)
		}
	}
}

// CellWidth returns how much time a Cell stands for.
func (c *Records) CellWidth() time.Duration {
	n := time.Duration(c.cells)
	return (c.To.Sub(c.From) + n - 1) / n
}

// Finish returns the records of some peers, in their order.
func (c *Records) Finish(r *Replay, peers []NamedPeer) []*Record {
	list := make([]*Record, len(peers))
	for i, p := range peers {
		list[i] = c.record(p.Key)
		list[i].NamedPeer = p
		if seen := r.peers[p.Key]; seen != nil {
			list[i].LastSeen = seen.lastSeen
		}
	}
	return list
}
