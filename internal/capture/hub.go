package capture

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/peer"
)

// MaxCaptures is how many captures of one interface may run at the same time. Each has
// a ring of its own.
const MaxCaptures = 4

// ErrTooMany is the reason why a capture does not begin.
var ErrTooMany = errors.New("too many captures of this interface are running: end one of them")

// A Hub has the captures of one interface. The zero Hub has none.
type Hub struct {
	mu  sync.Mutex // guards the rings of all captures
	set atomic.Pointer[Set]
}

// Load returns the captures that are running, or nil if there are none. It is called
// once for each batch.
func (h *Hub) Load() *Set { return h.set.Load() }

// Add begins a capture. PeersChanged must be called afterwards.
func (h *Hub) Add(c *Capture) error {
	ring := newRing()
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*Capture
	if s := h.set.Load(); s != nil {
		list = s.list
	}
	if len(list) == MaxCaptures {
		return ErrTooMany
	}
	c.hub, c.ring = h, ring
	h.set.Store(&Set{mu: &h.mu, list: append(slices.Clone(list), c)})
	return nil
}

// end ends a capture: nothing is copied into its ring any more.
func (h *Hub) end(c *Capture) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	list := slices.DeleteFunc(slices.Clone(h.set.Load().list), func(other *Capture) bool { return other == c })
	if len(list) == 0 {
		h.set.Store(nil)
		return
	}
	h.set.Store(&Set{mu: &h.mu, list: list})
}

// A Set is the captures that are running at a moment. It is immutable. Its methods lock
// once for all packets of a call, and only if one of the captures wants them. A nil Set
// wants none.
type Set struct {
	mu   *sync.Mutex
	list []*Capture
}

// PeersChanged must be called when a peer may have been added or removed.
func (s *Set) PeersChanged() {
	if s != nil {
		for _, c := range s.list {
			c.PeersChanged()
		}
	}
}

// Arrived captures a train of datagrams that was received, before it is opened. A
// datagram belongs to a peer if its receiver index, which is looked up in t, is that of
// a session or handshake with the peer, or if it was sent from the peer's endpoint. The
// local port is given, because the train does not have it.
func (s *Set) Arrived(t *index.Table, port uint16, b *batch.Batch) {
	for _, c := range s.list {
		if !c.outer {
			continue
		}
		for i, j := 0, 0; i < b.Count(); i = j {
			j = endOfRun(b, i)
			c.arrived(owner(t, b.At(i)), port, b, i, j)
		}
	}
}

// Sent captures a train of datagrams after it was sent. p is nil for the answer to a
// stranger.
func (s *Set) Sent(p *peer.Peer, port uint16, b *batch.Batch) {
	for _, c := range s.list {
		if c.outer && c.concerns(p, b.Remote.Remote) {
			c.sent(p, port, b)
		}
	}
}

// Opened captures n packets that were received from p, after they were authenticated.
// at returns one of them, perhaps with padding, or nil for one that was dropped.
func (s *Set) Opened(p *peer.Peer, n int, at func(i int) []byte) {
	s.inside(p, record{kind: opened, inbound: true}, n, at)
}

// Sealing captures n frames (see package packet) whose packets are about to be sent to
// p. at returns one of them, or nil.
func (s *Set) Sealing(p *peer.Peer, n int, at func(i int) []byte) {
	s.inside(p, record{kind: sealing}, n, at)
}

// WantsInner reports whether Opened or Sealing would capture packets of p.
func (s *Set) WantsInner(p *peer.Peer) bool {
	if s == nil {
		return false
	}
	for _, c := range s.list {
		if c.inner && (!c.onePeer || c.peer.Load() == p) {
			return true
		}
	}
	return false
}

func (s *Set) inside(p *peer.Peer, r record, n int, at func(i int) []byte) {
	r.peer = p
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.list {
		if !c.inner || c.ended || c.onePeer && c.peer.Load() != p {
			continue
		}
		r.at = c.clock()
		c.ring.begin(r)
		for i := range n {
			if packet := at(i); packet != nil {
				c.ring.add(packet)
			}
		}
		c.ring.commit()
	}
}
