package engine

import (
	"wgd/internal/batch"
	"wgd/internal/cookie"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// admit decides, before the handshake queue, about a message of type 1 to 3.
// Responses and cookie replies answer a message of ours, by its index; what
// names another index takes nobody's place in a queue.
func (e *Engine) admit(from wire.Endpoint, msg []byte) {
	kind, ok := wire.TypeOf(msg)
	if !ok {
		return
	}
	queued := false
	switch kind {
	case wire.TypeInitiation:
		if !e.passGate(from, msg) {
			return
		}
		queued = e.inbox.putHandshake(from, msg)
	case wire.TypeResponse:
		if !e.passGate(from, msg) {
			return
		}
		if !e.initiated(wire.ReceiverIndex(msg)) {
			e.drops.Add(dataplane.DropHandshake, 1)
			return
		}
		queued = e.inbox.putHandshake(from, msg)
	case wire.TypeCookieReply:
		// A8, A25: proven by what it is encrypted with, and it moves nothing.
		if reply, _ := wire.DecodeCookieReply(msg); e.shared.Index.Lookup(reply.Receiver) == nil {
			e.drops.Add(dataplane.DropHandshake, 1)
			return
		}
		queued = e.inbox.putCookie(from, msg)
	default:
		return
	}
	if !queued {
		e.drops.Add(dataplane.DropQueueFull, 1)
	}
	e.world.Log.Debug("handshake message received", "type", kind, "from", from.Remote, "queued", queued)
}

// initiated reports whether the index belongs to an initiation of ours that
// waits for its response (A13).
func (e *Engine) initiated(index uint32) bool {
	entry := e.shared.Index.Lookup(index)
	return entry != nil && entry.Keypair == nil
}

// passGate asks the gate about an initiation or response, and sends the cookie
// reply where that is the answer (A6).
func (e *Engine) passGate(from wire.Endpoint, msg []byte) bool {
	var reply [wire.CookieReplySize]byte
	waiting := e.inbox.waiting()
	now := e.world.Clock().Mono
	e.gateMu.Lock()
	verdict, answer := e.gate.Admit(now, from.Remote, msg, waiting, queueCapacity)
	n := copy(reply[:], answer)
	e.gateMu.Unlock()
	switch verdict {
	case cookie.Admit:
		return true
	case cookie.Reply:
		if err := e.sendHandshake(from, reply[:n], batch.Reply); !batch.Sent(err) {
			e.drops.Add(dataplane.NotSent(err), 1)
		}
	case cookie.DropRate:
		e.drops.Add(dataplane.DropRate, 1)
	case cookie.DropFull:
		e.drops.Add(dataplane.DropQueueFull, 1)
	case cookie.DropRandom:
		e.drops.Add(dataplane.DropHandshake, 1)
	default:
		e.drops.Add(dataplane.DropMAC1, 1)
	}
	return false
}
