package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/peer"
)

// A sweep looks up the routes to all peers in use after the network has changed, and
// reports those to which packets now leave another way. The data plane has routes looked
// up only for peers to which something is sent. But one that only sends to us must learn
// our new address, and a handshake that waits for its next attempt should not wait
// longer.
//
// It is made by the goroutine of routes, within its allowance; any goroutine may ring,
// resume and report.
type sweep struct {
	inUse   func() []*peer.Peer
	changed func(list []*peer.Peer, since clock.Time, resumed bool) // see Machine.NetworkChanged

	bell  chan struct{} // holds one token after a change
	since atomic.Int64  // clock.Time of the last change

	mu        sync.Mutex
	suspended []*peer.Peer // were in use when the computer was suspended; the next to be reported

	// Used by the goroutine of routes only.
	list      []*peer.Peer
	resumed   map[*peer.Peer]bool // those of list that were in use when it was suspended
	notBefore clock.Time          // no new list is made earlier
}

// sweepShare limits the time that making lists of peers takes to one part of so many:
// the machine is locked meanwhile, and routes may change all the time.
const sweepShare = 20

// failurePause is the pause before the next attempt after the kernel gave no answers.
const failurePause = time.Second

func (s *sweep) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// resume reports peers that were in use when the computer was suspended, after their
// routes have been looked up.
func (s *sweep) resume(now clock.Time, list []*peer.Peer) {
	s.mu.Lock()
	s.suspended = append(s.suspended, list...)
	s.mu.Unlock()
	s.since.Store(int64(now))
	s.ring()
}

// begin makes the list.
func (s *sweep) begin(r *routes) {
	began := r.clock().Mono
	s.mu.Lock()
	suspended := s.suspended
	s.suspended = nil
	s.mu.Unlock()
	s.list, s.resumed = suspended, make(map[*peer.Peer]bool, len(suspended))
	for _, p := range suspended {
		s.resumed[p] = true
	}
	for _, p := range s.inUse() {
		if !s.resumed[p] && p.NeedsRoute(p.Location()) {
			s.list = append(s.list, p)
		}
	}
	now := r.clock().Mono
	s.notBefore = now.Add(sweepShare * now.Sub(began))
}

// pause returns how long no list may be made.
func (s *sweep) pause(now clock.Time) time.Duration { return max(s.notBefore.Sub(now), 0) }

func (s *sweep) done() bool { return len(s.list) == 0 }

// take removes up to n peers from the list.
func (s *sweep) take(n int) []*peer.Peer {
	n = min(n, len(s.list))
	first := s.list[:n]
	s.list = s.list[n:]
	return first
}

// report reports the peers of a list that were in use when the computer was suspended,
// and those to which packets leave another way.
func (s *sweep) report(list, rerouted []*peer.Peer) {
	since := clock.Time(s.since.Load())
	if len(list) > 0 && len(s.resumed) > 0 {
		suspended := slices.DeleteFunc(slices.Clone(list), func(p *peer.Peer) bool { return !s.resumed[p] })
		rerouted = slices.DeleteFunc(rerouted, func(p *peer.Peer) bool { return s.resumed[p] })
		for _, p := range suspended {
			delete(s.resumed, p)
		}
		s.notify(suspended, since, true)
	}
	s.notify(rerouted, since, false)
}

func (s *sweep) notify(list []*peer.Peer, since clock.Time, resumed bool) {
	if len(list) > 0 {
		s.changed(list, since, resumed)
	}
}
