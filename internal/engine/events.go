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
	HandshakeFailed                      // Reason, After
	EndpointMoved
	PeerQuiet    // data was sent, and nothing came back
	SessionEnded // its keys are erased, because there was no new one
	NameFailed   // Reason
	NameFound
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
	Reason    string
}

// kinds are the events of the machine that are reported.
var kinds = map[core.Event]EventKind{
	core.SessionBegun: HandshakeDone, core.GivenUp: HandshakeFailed, core.KeysErased: SessionEnded,
	core.EndpointFound: EndpointMoved, core.EndpointChanged: EndpointMoved,
	core.NameNotFound: NameFailed, core.NameFound: NameFound,
}

// report reports an output of the machine that changes the state of a peer.
func (e *Engine) report(out *core.Output) {
	if e.world.Events == nil || out.Peer == nil {
		return
	}
	event := Event{Peer: out.PublicKey, Name: out.Name, Endpoint: out.Endpoint}
	switch {
	case out.Kind == core.Send && out.Cause == core.NoReply:
		event.Kind = PeerQuiet
	case out.Kind == core.Log:
		event.Kind, event.Initiator, event.Renewed, event.After = kinds[out.Event], out.Initiator, out.Renewed, out.After
	}
	switch event.Kind {
	case 0:
		return
	case HandshakeFailed:
		event.Reason = out.Cause.String()
	case NameFailed:
		event.Reason = out.Why
	}
	e.world.Events(event)
}
