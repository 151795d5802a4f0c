package peer

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"wgd/internal/clock"
)

// A RefusedSource is an inner source address that the peer used and that is not its
// own (A49): the last one, with the number of all such packets.
type RefusedSource struct {
	Address     netip.Addr
	Count       uint64
	First, Last clock.Time
}

// refusedSource is allocated when the first packet is refused: few peers need it.
type refusedSource struct {
	mu sync.Mutex
	RefusedSource
}

// NoteRefusedSource records that n packets of one batch were refused, the last of
// them from the inner address a.
func (p *Peer) NoteRefusedSource(now clock.Time, a netip.Addr, n int) {
	r := p.refused.Load()
	if r == nil {
		p.refused.CompareAndSwap(nil, &refusedSource{RefusedSource: RefusedSource{First: now}})
		r = p.refused.Load()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Address, r.Last = a, now
	r.Count += uint64(n)
}

// RefusedSource returns what NoteRefusedSource recorded, and whether it did.
func (p *Peer) RefusedSource() (RefusedSource, bool) {
	r := p.refused.Load()
	if r == nil {
		return RefusedSource{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.RefusedSource, true
}

// Sole is the peer that some events are about, if they are all about the same one. The
// zero Sole has no events.
type Sole struct{ peer atomic.Pointer[Peer] }

var several = &Peer{}

// Note adds an event; nil stands for no peer, or one that is not known.
func (s *Sole) Note(p *Peer) {
	if p == nil {
		p = several
	}
	if !s.peer.CompareAndSwap(nil, p) && s.peer.Load() != p {
		s.peer.Store(several)
	}
}

// Take returns the peer, or nil if there is none or several. It forgets the events.
func (s *Sole) Take() *Peer {
	if p := s.peer.Swap(nil); p != several {
		return p
	}
	return nil
}
