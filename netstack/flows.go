package netstack

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A flow is a connection as the stack identifies it.
type flow struct {
	network tcpip.NetworkProtocolNumber
	id      stack.TransportEndpointID
}

const (
	// maxFlows is how many connections are followed.
	maxFlows = 4096
	// staleFlow is when a connection is no longer followed if it received
	// nothing: it has ended, or waits for a retransmission whose
	// acknowledgement shows everything.
	staleFlow = 10 * time.Second
)

// flows has the state of the connections that are followed. A connection ends
// where that cannot be seen here, too: it may time out, or be aborted at this end.
// So it is forgotten if it received nothing for a while.
type flows[T interface{ lastSeen() time.Time }] struct {
	clock tcpip.Clock
	count atomic.Int32 // len(of); it is read without mu

	mu     sync.Mutex
	of     map[flow]T
	timer  tcpip.Timer // calls sweep while a connection is followed
	closed bool
}

// follow begins to follow a connection, or replaces its state. The caller holds mu,
// as for forget and full.
func (s *flows[T]) follow(f flow, state T) {
	if s.closed {
		return
	}
	if s.of == nil {
		s.of = map[flow]T{}
	}
	s.of[f] = state
	s.count.Store(int32(len(s.of)))
	s.watch()
}

func (s *flows[T]) forget(f flow) {
	delete(s.of, f)
	s.count.Store(int32(len(s.of)))
}

// full reports whether no more connections may be followed.
func (s *flows[T]) full() bool { return len(s.of) >= maxFlows }

// watch starts the timer if a connection is followed and it does not run.
func (s *flows[T]) watch() {
	if s.timer == nil && len(s.of) > 0 {
		s.timer = s.clock.AfterFunc(staleFlow, s.sweep)
	}
}

// sweep forgets connections that received nothing for a while.
func (s *flows[T]) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for f, state := range s.of {
		if now.Sub(state.lastSeen()) >= staleFlow {
			s.forget(f)
		}
	}
	s.timer = nil
	if !s.closed {
		s.watch()
	}
}

// close forgets all connections, and follows no more.
func (s *flows[T]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	clear(s.of)
	s.count.Store(0)
	if s.timer != nil {
		s.timer.Stop()
	}
}
