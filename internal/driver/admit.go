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
	Ignore       Action = iota // it is not of type 1 to 3
	Drop                       // count it under Decision.Reason
	Answer                     // send Decision.Reply to where it came from (A6)
	PutHandshake               // it waits with the initiations and responses
	PutCookie                  // it waits with the cookie replies
	Defer                      // CheckMAC1 decides, and then Rest
)

// Decision is what becomes of a message.
type Decision struct {
	Action Action
	Reason dataplane.Drop // with Drop
	Reply  []byte         // with Answer; valid until the next call of Rest

	class class // with Defer
}

// Classify decides about a message without its MACs. Responses and cookie replies answer
// a message of ours, by its index. A cookie reply to another index takes no place in a
// queue. Classify is safe for concurrent use.
func (a *Admission) Classify(msg []byte) Decision {
	kind, ok := wire.TypeOf(msg)
	if !ok {
		return Decision{}
	}
	switch kind {
	case wire.TypeCookieReply:
		// A8, A25: proven by what it is encrypted with, and it moves nothing.
		if reply, _ := wire.DecodeCookieReply(msg); a.Index.Lookup(reply.Receiver) == nil {
			return Decision{Action: Drop, Reason: dataplane.DropHandshake}
		}
		return Decision{Action: PutCookie}
	case wire.TypeInitiation, wire.TypeResponse:
		switch {
		case kind == wire.TypeResponse && a.initiated(wire.ReceiverIndex(msg)):
			return Decision{Action: Defer, class: answers}
		case cookie.HasMAC2(msg):
			return Decision{Action: Defer, class: withMAC2}
		}
		return Decision{Action: Defer, class: withoutMAC2}
	}
	return Decision{}
}

// CheckMAC1 decides about a message whose Decision is to Defer. If its mac1 is good, the
// Decision stays.
func (a *Admission) CheckMAC1(d Decision, msg []byte) Decision {
	if a.Gate.Check(msg) != cookie.Admit {
		return Decision{Action: Drop, Reason: dataplane.DropMAC1}
	}
	return d
}

// Rest decides about a message whose mac1 is good, by its cookie, where one is needed,
// and the rate of its source, while waiting initiations and responses are in the inbox.
func (a *Admission) Rest(now clock.Time, from wire.Endpoint, msg []byte, waiting int) Decision {
	verdict, reply := a.Gate.Admit(now, from.Remote, msg, waiting, a.Capacity)
	switch verdict {
	case cookie.Admit:
		if t, _ := wire.TypeOf(msg); t == wire.TypeResponse && !a.initiated(wire.ReceiverIndex(msg)) {
			return Decision{Action: Drop, Reason: dataplane.DropHandshake}
		}
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

// initiated reports whether the index belongs to an initiation of ours that
// waits for its response (A13).
func (a *Admission) initiated(index uint32) bool {
	entry := a.Index.Lookup(index)
	return entry != nil && entry.Keypair == nil
}
