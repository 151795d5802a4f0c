package peer

import (
	"sync"
	"sync/atomic"
)

// MaxStaged is how many packets may wait for a session. A super-packet counts as
// the packets that it becomes (A42).
const MaxStaged = 128

// staged is a FIFO queue of packets as read from the interface.
type staged struct {
	mu      sync.Mutex
	waiting atomic.Int32 // packets in queue; also > 0 while they are being sent
	queue   []stagedPacket
}

type stagedPacket struct {
	raw   []byte
	count int
}

// Stage keeps a copy of raw (a packet, or a super-packet of count packets, with
// the header from the interface) until there is a session. If more than MaxStaged
// packets wait then, it drops the oldest ones and returns how many.
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

// HasStaged reports whether packets wait or are being flushed. Then Flush must run
// before later packets are sent, to keep the order.
func (p *Peer) HasStaged() bool { return p.staged.waiting.Load() > 0 }

// Flush calls send with each staged packet, oldest first, until there is none or
// send returns false; then that packet and the rest stay. It locks the queue: a
// concurrent Flush waits. It reports whether any packet was sent. send must not
// stage packets for this peer.
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

// Purge drops the staged packets and returns how many there were.
func (p *Peer) Purge() (dropped int) {
	s := &p.staged
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped = int(s.waiting.Load())
	s.queue = nil
	s.waiting.Store(0)
	return dropped
}
