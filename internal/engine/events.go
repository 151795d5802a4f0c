package engine

import (
	"time"

	"wgd/internal/core"
	"wgd/internal/wire"
	"wgd/key"
)

// EventKind is the kind of an Event.
type EventKind uint8

const (
	HandshakeDone   EventKind = iota + 1 // Initiator, After
	HandshakeFailed                      // Cause, Reason, After
	EndpointMoved
	PeerQuiet    // data was sent, and nothing came back
	PeerBack     // After
	SessionEnded // Cause, Reason; all sessions, if it has no Peer
	NameFailed   // Reason
	NameFound
	PacketsDropped // Cause, Reason, Count; Peer, if all were from one; Endpoint of the last
	PeerReturned   // Cause, Reason, Stamp, RxBytes, TxBytes
)

// An Event is a change of the state of a peer.
type Event struct {
	Kind      EventKind
	Peer      key.Public
	Name      string
	Endpoint  wire.Endpoint // if it is known
	Initiator bool
	Renewed   bool
	After     time.Duration
	Stamp     wire.TAI64N // the greatest received from the peer, if it began the handshake or is returned
	RxBytes   uint64
	TxBytes   uint64
	Count     uint64
	Cause     string // a word
	Reason    string
}

// kinds are the events of the machine that are reported.
var kinds = map[core.Event]EventKind{
	core.SessionBegun: HandshakeDone, core.GivenUp: HandshakeFailed, core.SessionLost: SessionEnded,
	core.PeerQuiet: PeerQuiet, core.PeerBack: PeerBack,
	core.EndpointFound: EndpointMoved, core.EndpointChanged: EndpointMoved,
	core.NameNotFound: NameFailed, core.NameFound: NameFound,
	core.Returned: PeerReturned,
}

// report reports an output of the machine that changes the state of a peer.
func (e *Engine) report(out *core.Output) {
	if e.world.Events == nil || out.Kind != core.Log || kinds[out.Event] == 0 {
		return
	}
	event := Event{
		Kind: kinds[out.Event], Peer: out.PublicKey, Name: out.Name, Endpoint: out.Endpoint,
		Initiator: out.Initiator, Renewed: out.Renewed, After: out.After, Stamp: out.Stamp,
	}
	switch event.Kind {
	case HandshakeFailed, SessionEnded:
		event.Cause, event.Reason = causeWords[out.Cause], out.Cause.String()
	case PeerReturned:
		event.Cause, event.Reason = causeWords[out.Cause], out.Cause.String()
		event.RxBytes, event.TxBytes = out.Peer.Bytes()
	case NameFailed:
		event.Reason = out.Why
	}
	e.world.Events(event)
}
