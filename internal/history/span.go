package history

import (
	"net/netip"
	"time"

	"wgd/key"
)

// A State is what is known about a peer during a Span.
type State int

// The states. A peer without a span was not connected.
const (
	Connected State = iota + 1
	Unknown
)

// An End is the reason why a Span ended. It is a word of the documentation.
type End string

// The reasons.
const (
	Expired  End = "expired"   // there was no new session for RejectAfterTime
	Quiet    End = "quiet"     // data was sent to the peer, and nothing came back
	NoAnswer End = "no-answer" // a handshake was given up
	Removed  End = "removed"   // the peer was removed
	Ended    End = "ended"     // the session ended for another reason
	Down     End = "down"      // the interface went down
	Stopped  End = "stopped"   // the daemon ended
	Missed   End = "missed"    // what follows is unknown
	Known    End = "known"     // it is known again; of Unknown
	Open     End = "open"      // it had not ended: the peer is still connected
)

// A Span is a time during which a peer was connected, or during which that is unknown.
// Those of a peer are in their order and do not overlap, unless the clock was set back
// while no daemon ran, or later after a new start of the computer.
type Span struct {
	Peer     key.Public
	State    State
	From, To time.Time
	End      End
	// Sessions is the number of handshakes that were completed.
	Sessions int
	// Endpoints are the endpoints of the peer, in their order; at most maxEndpoints, of
	// which the last is the last one that it had.
	Endpoints []netip.AddrPort
	// Since is the time since which it was so, if Clip has cut that off; else zero.
	Since time.Time
}

// maxEndpoints is how many endpoints of a span are kept.
const maxEndpoints = 16

// addEndpoint adds the present endpoint.
func (s *Span) addEndpoint(a netip.AddrPort) {
	n := len(s.Endpoints)
	switch {
	case !a.IsValid() || n > 0 && s.Endpoints[n-1] == a:
	case n == maxEndpoints:
		s.Endpoints[n-1] = a
	default:
		s.Endpoints = append(s.Endpoints, a)
	}
}

// Duration returns how long the span lasted.
func (s *Span) Duration() time.Duration { return s.To.Sub(s.From) }

// Clip cuts off what is outside of a range. ok is false if nothing is left.
func (s Span) Clip(from, to time.Time) (clipped Span, ok bool) {
	if s.From.Before(from) {
		s.Since, s.From = s.From, from
	}
	if s.To.After(to) {
		s.To, s.End = to, Open
	}
	return s, s.From.Before(s.To)
}
