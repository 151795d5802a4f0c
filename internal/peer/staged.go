package peer

import (
	"sync"
	"sync/atomic"
)

// MaxStaged is how many packets wait for a session, counted as the packets
// they are on the wire (A42).
const MaxStaged = 128

// staged holds packets, as they came from the interface, first in first out.
type staged struct {
	mu      sync.Mutex
	waiting atomic.Int32 // packets in queue; > 0 too while they are being sent
	queue   []stagedPacket
}

type stagedPacket struct {
	raw   []byte
	count int
}

// Stage keeps a copy of raw (a packet, or super-packet of count packets, with
// the header it had from the interface) until there is a session. Where that
// makes more than MaxStaged, the oldest are dropped; it returns how many.
func (p *Peer) Stage(raw []byte, count int) (dropped int) {
	s := &p.staged
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, stagedPacket{append([]byte(nil), raw...), count})
	total := int(s.waiting.Load()) + count
	for total > MaxStaged && len(s.queue) > 1 {
		dropped += s.queue[0].count
		total -= s.queue[0].count
		s.queue[0] = stagedPacket{}
		s.queue = s.queue[1:]
	}
	s.waiting.Store(int32(total))
	return dropped
}

// HasStaged reports whether packets wait, or are just being flushed; then
// later ones must go through Flush first, to keep the order.
func (p *Peer) HasStaged() bool { return p.staged.waiting.Load() > 0 }

// Flush gives the staged packets to send, oldest first, until there is none or
// send returns false, in which case the rest, that packet included, stays. It
// holds the queue meanwhile: who comes second waits, and finds it empty. It
// reports whether any packet was taken. send must not stage for this peer.
func (p *Peer) Flush(send func(raw []byte) bool) (any bool) {
	s := &p.staged
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		if !send(s.queue[0].raw) {
			total := 0
			for _, q := range s.queue {
				total += q.count
			}
			s.waiting.Store(int32(total))
			return any
		}
		any = true
		s.queue[0] = stagedPacket{}
		s.queue = s.queue[1:]
	}
	s.queue = nil
	s.waiting.Store(0)
	return any
}

// Purge drops what is staged and returns how many packets that was.
func (p *Peer) Purge() (dropped int) {
	s := &p.staged
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped = int(s.waiting.Load())
	s.queue = nil
	s.waiting.Store(0)
	return dropped
}
