package driver

import (
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/dataplane"
	"wgd/internal/index"
	"wgd/internal/wire"
)

// Admission decides about messages of type 1 to 3 before they take a place in a
// queue. It is not safe for concurrent use, because its gate is not.
type Admission struct {
	Gate     *cookie.Gate
	Index    *index.Table
	Capacity int // of the inbox, for initiations and responses
}

// Action is what to do with a message.
type Action uint8

const (
	Ignore       Action = iota // it is none of type 1 to 3
	Drop                       // count it under Decision.Reason
	Answer                     // send Decision.Reply to where it came from (A6)
	PutHandshake               // it waits with the initiations and responses
	PutCookie                  // it waits with the cookie replies
)

// Decision is what becomes of a message.
type Decision struct {
	Action Action
	Reason dataplane.Drop // with Drop
	Reply  []byte         // with Answer; valid until the next call of Admit
}

// Admit decides about a message from an endpoint while waiting initiations and
// responses are in the inbox. Responses and cookie replies answer a message of
// ours, by its index: one that names another index takes nobody's place in a
// queue.
func (a *Admission) Admit(now clock.Time, from wire.Endpoint, msg []byte, waiting int) Decision {
	kind, ok := wire.TypeOf(msg)
	if !ok {
		return Decision{}
	}
	switch kind {
	case wire.TypeInitiation:
		return a.askGate(now, from, msg, waiting)
	case wire.TypeResponse:
		d := a.askGate(now, from, msg, waiting)
		if d.Action == PutHandshake && !a.initiated(wire.ReceiverIndex(msg)) {
			return Decision{Action: Drop, Reason: dataplane.DropHandshake}
		}
		return d
	case wire.TypeCookieReply:
		// A8, A25: proven by what it is encrypted with, and it moves nothing.
		if reply, _ := wire.DecodeCookieReply(msg); a.Index.Lookup(reply.Receiver) == nil {
			return Decision{Action: Drop, Reason: dataplane.DropHandshake}
		}
		return Decision{Action: PutCookie}
	}
	return Decision{}
}

// initiated reports whether the index belongs to an initiation of ours that
// waits for its response (A13).
func (a *Admission) initiated(index uint32) bool {
	entry := a.Index.Lookup(index)
	return entry != nil && entry.Keypair == nil
}

// askGate decides about an initiation or response by its MACs and its source.
func (a *Admission) askGate(now clock.Time, from wire.Endpoint, msg []byte, waiting int) Decision {
	var reply []byte
	verdict := a.Gate.Check(msg)
	if verdict == cookie.Admit {
		verdict, reply = a.Gate.Admit(now, from.Remote, msg, waiting, a.Capacity)
	}
	switch verdict {
	case cookie.Admit:
		return Decision{Action: PutHandshake}
	case cookie.Reply:
		return Decision{Action: Answer, Reply: reply}
	case cookie.DropRate:
		return Decision{Action: Drop, Reason: dataplane.DropRate}
	case cookie.DropFull:
		return Decision{Action: Drop, Reason: dataplane.DropQueueFull}
	case cookie.DropRandom:
		return Decision{Action: Drop, Reason: dataplane.DropHandshake}
	default:
		return Decision{Action: Drop, Reason: dataplane.DropMAC1}
	}
}
