package dataplane

import (
	"wgd/internal/clock"
	"wgd/internal/peer"
)

// Encapsulator carries packets out. One goroutine uses it at a time; each
// reader of an interface has its own, and so has whoever calls Flush.
type Encapsulator struct {
	*Shared
	notes Notes
}

// NewEncapsulator returns an Encapsulator with its buffers.
func NewEncapsulator(s *Shared, notes Notes) *Encapsulator {
	return &Encapsulator{Shared: s, notes: notes}
}

// Encapsulate carries frames (see package packet) out in their order. It does
// not keep them.
func (e *Encapsulator) Encapsulate(now clock.Time, frames [][]byte) {}

// Flush sends what is staged for p, if it has a session, and reports whether
// anything was sent.
func (e *Encapsulator) Flush(now clock.Time, p *peer.Peer) bool { return false }

// Keepalive sends an empty message on p's session, and reports whether it was.
// Without a session it posts Want.
func (e *Encapsulator) Keepalive(now clock.Time, p *peer.Peer) bool { return false }
