package pathmtu

import (
	"time"

	"wgd/internal/clock"
)

// Every WireGuard sends a keepalive 10 seconds after it has received data, unless it has sent
// something meanwhile (§6.5). So where no host behind the peer answers probes, a keepalive
// does, if a probe is all that the peer gets. A timer of the peer that runs already would hide
// that; it has ended after a pause that is a little longer.
const (
	owed = 10 * time.Second // KeepaliveTimeout, of the peer

	// A keepalive answers if it arrives between owed-early and owed+late after the probe.
	early = 100 * time.Millisecond
	late  = 2 * time.Second

	// pause is the time since the last packet after which a timer of the peer has ended.
	pause = owed + late

	// A keepalive that arrives then may also be a persistent one of the peer, which it sends
	// some time after the last packet. That does not happen to two probes after pauses that
	// differ by apart.
	apart = early + late + 10*time.Millisecond

	// What was sent is known after settle.
	settle = time.Second

	// retry is the time until the next attempt after one that was disturbed.
	retry = 10 * time.Second

	// KeepaliveTime is how long one attempt takes.
	KeepaliveTime = owed + late
)

// Activity is what is known of the packets that were exchanged with the peer.
type Activity struct {
	Sent, Received clock.Time // the last one of any kind
	Pending        bool       // data was sent or received that nothing has followed in the other direction
}

// A KeepaliveSearch asks a peer whose hosts answer no probes, by single probes in pauses,
// whether the path carries the largest datagrams (top), or if it does not, those of a size
// that may be assumed (fallback).
type KeepaliveSearch struct {
	top, fallback int

	result         Result
	answered, lost int // probes of size top
	step           step
	due            clock.Time    // not before
	sent           clock.Time    // the probe, according to us
	paused, first  time.Duration // before it; before the first one that was answered
	noted          clock.Time    // according to the data plane
}

type step uint8

const (
	pausing   step = iota // until a probe may be sent
	settling              // it was sent
	listening             // it was all that was sent
)

// NewKeepaliveSearch begins a search. No probe is sent before due.
func NewKeepaliveSearch(due clock.Time, top, fallback int) *KeepaliveSearch {
	return &KeepaliveSearch{top: top, fallback: min(fallback, top), due: due}
}

// Waiting reports whether the next step is to send a probe.
func (s *KeepaliveSearch) Waiting() bool { return s.step == pausing }

// Deadline returns when to call Timeout next.
func (s *KeepaliveSearch) Deadline(a Activity) clock.Time {
	switch {
	case s.result != Searching || s.step == pausing && a.Pending:
		return clock.Never
	case s.step == settling:
		return s.sent.Add(settle)
	case s.step == listening:
		return s.sent.Add(KeepaliveTime)
	}
	last := max(a.Sent, a.Received)
	at := max(s.due, last.Add(pause))
	if s.answered > 0 && (at.Sub(last)-s.first).Abs() < apart {
		at = last.Add(s.first + apart)
	}
	return at
}

// Timeout makes the next step, and returns the size of the probe to send; 0: none.
func (s *KeepaliveSearch) Timeout(now clock.Time, a Activity) (mtu int) {
	if now < s.Deadline(a) {
		return 0
	}
	switch s.step {
	case pausing:
		s.step, s.sent, s.paused = settling, now, now.Sub(max(a.Sent, a.Received))
		return s.size()
	case settling:
		// Sent, alone, and nothing has come since.
		if s.step, s.noted = listening, a.Sent; a.Sent < s.sent || a.Received >= s.sent || a.Pending {
			s.again(now.Add(retry))
		}
	case listening:
		switch {
		case a.Sent != s.noted || a.Pending:
			s.again(now.Add(retry))
		case a.Received < s.sent:
			s.miss(now)
		case a.Received >= s.sent.Add(owed-early) && a.Received <= s.sent.Add(owed+late):
			s.hit(now)
		default:
			s.again(now.Add(retry))
		}
	}
	return 0
}

// size returns the size of the next probe.
func (s *KeepaliveSearch) size() int {
	if s.lost == enough {
		return s.fallback
	}
	return s.top
}

func (s *KeepaliveSearch) again(due clock.Time) { s.step, s.due = pausing, due }

func (s *KeepaliveSearch) hit(now clock.Time) {
	if s.lost == enough {
		s.result = Narrow
		return
	}
	switch s.answered++; {
	case s.answered == 1:
		s.first = s.paused
	case (s.paused - s.first).Abs() >= apart:
		s.result = Clear
		return
	}
	s.again(now)
}

func (s *KeepaliveSearch) miss(now clock.Time) {
	if s.lost == enough || s.top == s.fallback {
		s.result = Silent
		return
	}
	s.lost++
	s.again(now)
}

// Result returns what was found, and with Narrow, the MTU.
func (s *KeepaliveSearch) Result() (r Result, mtu int) { return s.result, s.fallback }
