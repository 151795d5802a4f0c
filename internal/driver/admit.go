package driver

import (
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/dataplane"
	"wgd/internal/index"
	"wgd/internal/wire"
)

// Admission decides which messages of type 1 to 3 may enter a queue. It is not
// safe for concurrent use, because its gate is not.
type Admission struct {
	Gate     *cookie.Gate
	Index    *index.Table
	Capacity int // of the inbox, for initiations and responses
}

// Action is what to do with a message.
type Action uint8

const (
	Ignore       Action = iota // the message is not of type 1 to 3
	Drop                       // count it under Decision.Reason
	Answer                     // send Decision.Reply to the sender (A6)
	PutHandshake               // queue it with the initiations and responses
	PutCookie                  // queue it with the cookie replies
	Defer                      // call CheckMAC1, and then Rest
)

// A Decision says what to do with a message, and why.
type Decision struct {
	Action Action
	Reason dataplane.Drop // with Drop
	Reply  []byte         // with Answer; valid until the next call of Rest

	class class // with Defer
}

// Classify decides about a message without verifying its MACs. A response or cookie
// reply names the message of ours that it answers by its index; a cookie reply to an
// unknown index is dropped. Classify is safe for concurrent use.
func (a *Admission) Classify(msg []byte) Decision {
	kind, ok := wire.TypeOf(msg)
	if !ok {
		return Decision{}
	}
	switch kind {
	case wire.TypeCookieReply:
		// A8, A25: its encryption authenticates it, and it changes no endpoint.
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

// CheckMAC1 decides about a message whose Decision is Defer. If its mac1 is good, it
// returns that Decision unchanged.
func (a *Admission) CheckMAC1(d Decision, msg []byte) Decision {
	if a.Gate.Check(msg) != cookie.Admit {
		return Decision{Action: Drop, Reason: dataplane.DropMAC1}
	}
	return d
}

// Rest decides about a message whose mac1 is good, by its cookie, if one is needed, and
// by the rate of its source. waiting is the number of initiations and responses in the
// inbox.
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
