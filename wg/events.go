package wg

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/sys/clock"
	"wgd/key"
)

// An Event is a change of the state of an Interface or of one of its peers.
type Event struct {
	// Seq is the sequence number: 1 for the first event of the Interface, and
	// one more for each other.
	Seq uint64
	// Time is when it happened. It has a wall clock and a monotonic clock
	// reading.
	Time time.Time
	// SinceBoot is when it happened, on the clock that includes the time that the
	// computer was suspended and is never set. On Linux it starts with the computer,
	// elsewhere with the process.
	SinceBoot time.Duration
	// Kind says what changed.
	Kind EventKind
	// Peer is the public key of the peer; zero if the event is about the
	// interface.
	Peer key.Public
	// Name is the name of the peer; "" if it has none.
	Name string
	// Endpoint is the address and port of the peer; invalid if it is not known
	// or not concerned.
	Endpoint netip.AddrPort
	// Initiator reports, with HandshakeDone, that this side began the handshake.
	Initiator bool
	// Renewed reports, with HandshakeDone, that there was a session that still worked.
	Renewed bool
	// After is the duration of the handshake, with HandshakeDone and
	// HandshakeFailed; with PeerBack, the time since PeerQuiet.
	After time.Duration
	// Stamp is the greatest stamp of initiations that was received from the peer, with
	// HandshakeDone if the peer began the handshake, and with PeerReturned; the zero
	// Stamp means none.
	Stamp conf.Stamp
	// RxBytes and TxBytes are those of conf.PeerStatus, with PeerReturned.
	RxBytes, TxBytes uint64
	// Count is the number of packets, with PacketsDropped.
	Count uint64
	// Cause is Reason as a word for programs, such as "no-answer", with
	// HandshakeFailed, SessionEnded, PeerReturned and PacketsDropped. The manual of the control socket lists the
	// words; later versions may have more.
	Cause string
	// Reason says why, with Faulted, HandshakeFailed, SessionEnded, PeerReturned,
	// PacketsDropped and NameFailed, or what has changed,
	// with ConfigurationChanged. It is for a person.
	Reason string
	// By is the process that has changed the configuration, with ConfigurationChanged.
	By conf.Caller
	// Missed is the number of events that were missed, with EventsMissed.
	Missed uint64
}

// An EventKind is a kind of Event.
type EventKind int

// The kinds of Event.
const (
	// WentUp: the interface went up, or works again after a fault.
	WentUp EventKind = iota + 1
	// WentDown: the interface went down. Its keys are erased and its sockets
	// closed.
	WentDown
	// Faulted: the interface went up but does not work.
	Faulted
	// HandshakeDone: the interface and the peer have a new session.
	HandshakeDone
	// HandshakeFailed: the peer did not answer any attempt (by default for 90
	// seconds), or there is no way to reach it. New packets to it begin another
	// handshake.
	HandshakeFailed
	// EndpointMoved: the endpoint of the peer has changed, because the peer was
	// heard from another address, or because its name has another address.
	// Endpoints that Apply sets are not reported.
	EndpointMoved
	// PeerQuiet: data was sent to the peer, and nothing came back for some time
	// (by default for 15 seconds). A handshake begins, if none is in progress. It is not
	// repeated before PeerBack.
	PeerQuiet
	// SessionEnded: the peer had a session, and has none now, because of Reason: it is
	// older than 180 seconds, the peer did not answer the attempts to renew it, or it was
	// removed. Without a Peer, the sessions of all peers have ended: all were removed, or
	// the private key was replaced. WentDown ends all sessions, too.
	SessionEnded
	// NameFailed: the name of the peer's endpoint cannot be looked up.
	NameFailed
	// NameFound: after NameFailed, the name is found again.
	NameFound
	// EventsMissed: the reader was too slow. Its Seq is that of the last event
	// that was missed.
	EventsMissed
	// ConfigurationChanged: ApplyBy has changed the configuration. Reason says what,
	// without keys.
	ConfigurationChanged
	// PeerBack: after PeerQuiet, something came back from the peer, and there is a
	// session.
	PeerBack
	// PacketsDropped: Count packets were refused or dropped because of Cause, since the
	// last such event of that Cause. It comes up to 5 seconds later, and while packets
	// continue to be dropped for this Cause, after longer and longer pauses, of up to
	// 5 minutes. The Peer is set if all packets were from that peer and this is known;
	// the Endpoint, if it is known, is the sender of the last one.
	PacketsDropped
	// PeerReturned: the peer was lent, and was removed because of Cause: idle, or limit.
	PeerReturned
)

var eventKinds = [...]string{
	WentUp: "up", WentDown: "down", Faulted: "fault",
	HandshakeDone: "handshake-done", HandshakeFailed: "handshake-failed", EndpointMoved: "endpoint-moved",
	PeerQuiet: "peer-quiet", SessionEnded: "session-ended",
	NameFailed: "name-failed", NameFound: "name-found", EventsMissed: "events-missed",
	ConfigurationChanged: "configuration-changed", PeerBack: "peer-back", PacketsDropped: "packets-dropped",
	PeerReturned: "returned",
}

// String returns the kind as a word, such as "up" or "handshake-done".
func (k EventKind) String() string {
	if k < WentUp || int(k) >= len(eventKinds) {
		return "unknown"
	}
	return eventKinds[k]
}

// Events returns an iterator over the events that happen from now on. It ends
// when ctx is done or the interface has ended. It may be ranged over several
// times, and each time begins at the same event.
//
// A reader holds up neither the tunnel nor other readers. The newest 1,024 events
// are kept; a reader that falls behind further gets an EventsMissed in place of
// those it missed.
func (w *Interface) Events(ctx context.Context) iter.Seq[Event] {
	return w.EventsAfter(ctx, w.events.lastSeq())
}

// LastEvent returns the sequence number of the last event; 0 if there was none.
func (w *Interface) LastEvent() uint64 { return w.events.lastSeq() }

// EventsAfter is like Events, but begins after the event with the sequence number
// seq, if it is still kept. With 0 it begins at the first event of the Interface.
func (w *Interface) EventsAfter(ctx context.Context, seq uint64) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for last := seq; ; {
			e, ok := w.events.next(ctx, last)
			if !ok || !yield(e) {
				return
			}
			last = e.Seq
		}
	}
}

// keptEvents is how many events are kept.
const keptEvents = 1024

// events keeps the newest events. Readers have no state in it, so that it does
// not matter how many there are, and how slow they are.
type events struct {
	mu      sync.Mutex
	kept    []Event       // event number seq is kept[(seq-1)%keptEvents]
	last    uint64        // the number of the newest; 0: there was none
	waiting chan struct{} // closed at the next change; nil: no reader waits
	ended   bool
}

// emit adds an event, to which it gives a number and a time. It never waits for a
// reader.
func (s *events) emit(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.last++
	e.Seq, e.Time, e.SinceBoot = s.last, time.Now(), sinceBoot()
	if len(s.kept) < keptEvents {
		s.kept = append(s.kept, e)
	} else {
		s.kept[(s.last-1)%keptEvents] = e
	}
	s.wake()
}

func sinceBoot() time.Duration { return time.Duration(clock.Now().Mono) }

// end ends all iterations, after the events that are kept.
func (s *events) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
}

// wake wakes the readers that wait. The caller holds mu.
func (s *events) wake() {
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}

func (s *events) lastSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// next waits for the event after the number seq. ok is false if there will be none,
// or ctx is done.
func (s *events) next(ctx context.Context, seq uint64) (e Event, ok bool) {
	for {
		e, wait, ok := s.take(seq)
		if ctx.Err() != nil {
			return Event{}, false
		}
		if ok || wait == nil {
			return e, ok
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Event{}, false
		}
	}
}

// take returns the event after the number seq. If there is none yet, it returns a
// channel that is closed when there may be, or nil if there will be none.
func (s *events) take(seq uint64) (e Event, wait <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq >= s.last {
		if s.ended {
			return Event{}, nil, false
		}
		if s.waiting == nil {
			s.waiting = make(chan struct{})
		}
		return Event{}, s.waiting, false
	}
	if oldest := s.last - uint64(len(s.kept)) + 1; seq+1 < oldest {
		return Event{Seq: oldest - 1, Time: time.Now(), SinceBoot: sinceBoot(), Kind: EventsMissed, Missed: oldest - 1 - seq}, nil, true
	}
	return s.kept[seq%keptEvents], nil, true
}

// peerEvent emits an event of the engine, which has the same words for kinds.
func (s *events) peerEvent(e conf.Event) {
	s.emit(Event{
		Kind: EventKind(slices.Index(eventKinds[:], string(e.Kind))), Peer: e.Peer, Name: e.Name, Endpoint: e.Endpoint,
		Initiator: e.Initiator, Renewed: e.Renewed, After: e.After, Stamp: e.Stamp, RxBytes: e.RxBytes, TxBytes: e.TxBytes, Count: e.Count, Cause: e.Cause, Reason: e.Reason,
	})
}
