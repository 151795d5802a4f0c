package core

import (
	"wgd/conf"
	"wgd/internal/clock"
)

// Event is the event of an output of kind Log. It is for logs: the protocol
// does not depend on it.
type Event uint8

// The events. Each is about Output.Peer, except a refused initiation whose sender
// is not a peer.
const (
	InitiationReceived Event = iota + 1 // it is authentic and new, and will be answered
	InitiationRefused                   // Cause is the reason, Endpoint the sender
	ResponseRefused                     // likewise
	CookieReceived                      // the next handshake message will carry it
	SessionBegun                        // both sides have the keys: Initiator, Renewed, After
	GivenUp                             // there is no session: Cause, Attempt, After
	SessionLost                         // there is no session any more: Cause. Without a Peer: with none
	PeerQuiet                           // data was sent, and nothing came back: a handshake is wanted
	PeerBack                            // after PeerQuiet, it was heard: After
	KeysErased                          // no new session was made for a long time (A35)
	EndpointFound                       // Endpoint is the address of the peer's name
	NameNotFound                        // lookups of the name fail: Why
	NameFound                           // they do not fail any more
	EndpointChanged                     // Endpoint is the new one, which the configuration does not say
	Returned                            // it was lent, and leaves: Cause, Endpoint, Stamp

	events // the number of events, plus one
)

var eventNames = [events]string{
	InitiationReceived: "handshake initiation received",
	InitiationRefused:  "handshake initiation refused",
	ResponseRefused:    "handshake response refused",
	CookieReceived:     "cookie received: the next handshake message carries it",
	SessionBegun:       "a session begins",
	GivenUp:            "handshake given up",
	SessionLost:        "the session has ended",
	PeerQuiet:          "nothing comes back from the peer",
	PeerBack:           "the peer is heard again",
	KeysErased:         "keys erased: there was no new session for a long time",
	EndpointFound:      "the name of the endpoint has an address",
	NameNotFound:       "the name of the endpoint does not resolve",
	NameFound:          "the name of the endpoint resolves again",
	EndpointChanged:    "the endpoint has changed",
	Returned:           "the peer was lent, and is removed",
}

// eventKinds are the events that change the state of a peer.
var eventKinds = [events]conf.EventKind{
	SessionBegun: conf.HandshakeDone, GivenUp: conf.HandshakeFailed, SessionLost: conf.SessionEnded,
	PeerQuiet: conf.PeerQuiet, PeerBack: conf.PeerBack,
	EndpointFound: conf.EndpointMoved, EndpointChanged: conf.EndpointMoved,
	NameNotFound: conf.NameFailed, NameFound: conf.NameFound,
	Returned: conf.PeerReturned,
}

// String returns the event as a text for logs.
func (e Event) String() string {
	if e >= events {
		e = 0
	}
	return eventNames[e]
}

// Cause is the reason why an initiation was sent or refused, a handshake given up, a
// session lost, or a peer returned.
type Cause uint8

// The causes. NoCause is the cause of anything that needs no explanation.
const (
	NoCause Cause = iota

	// Causes of sending an initiation.
	NoSession
	SessionOld
	SessionUsed
	NoReply
	NoAnswer // also a cause of giving up, and of losing a session
	NetworkChanged

	// Causes of giving up a handshake.
	NoWayToSpeak
	LowOrder // also a cause of refusing an initiation

	// Causes of losing a session.
	Expired
	PeerRemoved
	AllRemoved
	KeyReplaced

	// Causes of returning a lent peer.
	Idle
	TooMany

	// Causes of refusing a message.
	NotAuthentic
	UnknownKey
	Replayed
	TooSoon
	Changed

	causes // the number of causes
)

var causeNames = [causes]string{
	NoCause:        "no cause",
	NoSession:      "there is no session",
	SessionOld:     "the session is old",
	SessionUsed:    "the session has sealed many messages",
	NoReply:        "nothing came back on the session",
	NoAnswer:       "no answer",
	NetworkChanged: "no answer, and the network has changed",
	NoWayToSpeak:   "the peer has no endpoint, or the interface no private key",
	LowOrder:       "the peer's public key is of low order",
	Expired:        "it is older than 180 seconds, and there was no new one",
	PeerRemoved:    "the peer was removed",
	AllRemoved:     "all peers were removed",
	KeyReplaced:    "the private key was replaced",
	Idle:           "it had no session and sent nothing for as long as it was lent",
	TooMany:        "there are more lent peers than the limit, and it sent nothing for longest",
	NotAuthentic:   "it does not authenticate: it is forged, or was made with other keys or another preshared key",
	UnknownKey:     "no peer has this public key",
	Replayed:       "its timestamp is not newer than the last",
	TooSoon:        "it came within 20 ms of the last",
	Changed:        "the configuration changed meanwhile",
}

// causeWords are the causes of failures, of refusals and of lost sessions, as words for
// programs.
var causeWords = [causes]string{
	NoAnswer: "no-answer", NoWayToSpeak: "no-endpoint-or-key", LowOrder: "low-order", NotAuthentic: "not-authentic",
	UnknownKey: "unknown-key", Replayed: "replayed", TooSoon: "too-soon", Changed: "configuration-changed",
	Expired: "expired", PeerRemoved: "removed", AllRemoved: "all-removed", KeyReplaced: "private-key-replaced",
	Idle: "idle", TooMany: "limit",
}

// String returns the cause as a text for logs.
func (c Cause) String() string {
	if c >= causes {
		c = NoCause
	}
	return causeNames[c]
}

// Word returns the cause as a word for programs. Causes of sending an initiation have
// none, except NoAnswer.
func (c Cause) Word() string { return causeWords[c] }

// Report returns an output that changes the state of a peer as an event for programs. It
// has no number and no times yet. ok is false for all other outputs.
func (o *Output) Report() (e conf.Event, ok bool) {
	if o.Kind != Log || eventKinds[o.Event] == "" {
		return conf.Event{}, false
	}
	e = conf.Event{
		Kind: eventKinds[o.Event], Peer: o.PublicKey, Name: o.Name, Endpoint: o.Endpoint.Remote,
		Initiator: o.Initiator, Renewed: o.Renewed, After: o.After, Stamp: conf.Stamp(o.Stamp),
	}
	switch e.Kind {
	case conf.HandshakeFailed, conf.SessionEnded:
		e.Cause, e.Reason = o.Cause.Word(), o.Cause.String()
	case conf.PeerReturned:
		e.Cause, e.Reason = o.Cause.Word(), o.Cause.String()
		e.RxBytes, e.TxBytes = o.Peer.Bytes()
	case conf.NameFailed:
		e.Reason = o.Why
	}
	return e, true
}

// logEvent emits an event about p.
func (m *Machine) logEvent(p *member, o Output) {
	o.Kind, o.Peer = Log, p.shared
	m.emit(o)
}

// begun emits the event of a new session with p. That p is back comes before the renewal
// of a session on which it was quiet.
func (m *Machine) begun(now clock.Now, p *member, o Output) {
	m.reportBack(now, p)
	if !o.Renewed {
		m.lost(p, Expired) // a look at it was due in this moment
	}
	p.connected = true
	o.Event = SessionBegun
	m.logEvent(p, o)
}

// lost emits the event that p has no session any more, if it had one.
func (m *Machine) lost(p *member, cause Cause) {
	if p.connected {
		p.connected = false
		m.logEvent(p, Output{Event: SessionLost, Cause: cause, Endpoint: p.shared.Endpoint()})
	}
}

// lostAll emits one event for all peers that have no session any more.
func (m *Machine) lostAll(cause Cause) {
	any := false
	for p := range m.list.all() {
		any = any || p.connected
		p.connected = false
	}
	if any {
		m.emit(Output{Kind: Log, Event: SessionLost, Cause: cause})
	}
}

// reportBack emits PeerBack if p was quiet, has been heard since, and has a session: an
// initiation alone may come from a peer that does not hear us.
func (m *Machine) reportBack(now clock.Now, p *member) {
	if p.quietSince != 0 && p.connected && p.shared.LastReceived() > p.quietSince {
		m.logEvent(p, Output{Event: PeerBack, Endpoint: p.shared.Endpoint(), After: now.Mono.Sub(p.quietSince)})
		p.quietSince = 0
	}
}

// refuse counts a refused handshake message from o.Endpoint, and emits an event
// with the cause. p is the peer that the message claims to be from; nil if there
// is none.
func (m *Machine) refuse(p *member, o Output) {
	m.refused++
	o.Kind = Log
	if p != nil {
		o.Peer = p.shared
	}
	m.emit(o)
}
