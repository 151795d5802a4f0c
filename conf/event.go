package conf

import (
	"math"
	"net/netip"
	"time"

	"wgd/key"
)

// An Event is a change of the state of an interface or of one of its peers, as the
// control socket reports it.
type Event struct {
	// Seq is the sequence number: 1 for the first event of a run of the daemon, and
	// one more for each other. That of EventsBegin is the number after which the
	// reader gets events.
	Seq uint64
	// Time is when it happened, on the wall clock.
	Time time.Time
	// SinceBoot is when it happened, on the clock that starts with the computer,
	// includes the time that it was suspended, and is never set.
	SinceBoot time.Duration
	// Kind says what changed.
	Kind EventKind
	// Peer is the public key of the peer; zero if the event is about the interface.
	Peer key.Public
	// Name is the name of the peer; "" if it has none.
	Name string
	// Endpoint is the address and port of the peer; invalid if it is not known or
	// not concerned.
	Endpoint netip.AddrPort
	// Initiator reports that this side began the handshake.
	Initiator bool
	// Renewed reports, with HandshakeDone, that the new session replaces one.
	Renewed bool
	// After is the duration of a handshake; with PeerBack, the time since PeerQuiet.
	After time.Duration
	// Stamp is the greatest stamp of initiations that was received from the peer, with
	// HandshakeDone if the peer began the handshake, and with PeerReturned; the zero
	// Stamp means none.
	Stamp Stamp
	// RxBytes and TxBytes are those of PeerStatus, with PeerReturned.
	RxBytes, TxBytes uint64
	// Count is the number of packets, with PacketsDropped.
	Count uint64
	// Cause is a word for Reason, with HandshakeFailed, SessionEnded, PeerReturned and
	// PacketsDropped.
	Cause string
	// Reason says why, or what. It is for a person.
	Reason string
	// Missed is the number of events that were missed, with EventsMissed.
	Missed uint64
	// By is who caused it, with ConfigurationChanged.
	By Caller
	// Run identifies the run of the daemon, with EventsBegin: the sequence numbers
	// of another run mean nothing in this one.
	Run string
}

// A Caller is the process that sent a request to a control socket.
type Caller struct {
	PID int    // 0: not known
	UID uint32 // of its user
	// Command is the name of its program, without arguments, which may contain
	// secrets; "" if it is not known.
	Command string
}

// FromNow in place of a sequence number stands for the last event so far.
const FromNow uint64 = math.MaxUint64

// EventKind is the kind of an Event. Readers should accept those that they do not
// know: later versions may have more.
type EventKind string

// The kinds of Event.
const (
	// EventsBegin: the first in each stream. Its Run says which run of the daemon
	// the following events are of.
	EventsBegin EventKind = "begin"
	// EventsEnd: the stream has ended, because the daemon has. Commands that follow
	// several runs add it; no stream has it.
	EventsEnd EventKind = "end"
	// WatchStarted: a command that keeps events begins to follow the interface. It
	// adds this; no stream has it. Without an EventsEnd before it, it is not known
	// when the daemon of another Run has ended.
	WatchStarted EventKind = "watch-started"
	// EventsMissed: the reader was too slow, or events are not kept any more. Its
	// Seq is that of the last event that was missed.
	EventsMissed EventKind = "events-missed"
	// WentUp: the interface went up, or works again after a fault.
	WentUp EventKind = "up"
	// WentDown: the interface went down. Its keys are erased, so all sessions end.
	WentDown EventKind = "down"
	// Faulted: the interface went up but does not work, because of Reason.
	Faulted EventKind = "fault"
	// HandshakeDone: the interface and the peer have a new session.
	HandshakeDone EventKind = "handshake-done"
	// HandshakeFailed: the peer did not answer, or there is no way to reach it.
	HandshakeFailed EventKind = "handshake-failed"
	// EndpointMoved: the endpoint of the peer has changed.
	EndpointMoved EventKind = "endpoint-moved"
	// PeerQuiet: data was sent to the peer on a session, and nothing came back for some
	// time.
	PeerQuiet EventKind = "peer-quiet"
	// PeerBack: after PeerQuiet, something came back from the peer, and there is a
	// session.
	PeerBack EventKind = "peer-back"
	// PacketsDropped: Count packets were refused or dropped because of Cause, since
	// the last such event of that Cause. The peer is set if all were from that one;
	// Endpoint is the sender of the last, if it is known.
	PacketsDropped EventKind = "packets-dropped"
	// SessionEnded: the peer had a session, and has none now. Without a peer, the
	// sessions of all peers have ended.
	SessionEnded EventKind = "session-ended"
	// PeerReturned: the peer was lent, and was removed because of Cause: idle, or limit.
	PeerReturned EventKind = "returned"
	// NameFailed: the name of the peer's endpoint cannot be looked up.
	NameFailed EventKind = "name-failed"
	// NameFound: after NameFailed, the name is found again.
	NameFound EventKind = "name-found"
	// ConfigurationChanged: By has changed the configuration. Reason lists what,
	// without keys.
	ConfigurationChanged EventKind = "configuration-changed"
)
