package engine

import (
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/wire"
)

const (
	// checksPerBatch deferred messages are checked with each batch. While the receive
	// buffer is not empty, batches are full, and that is an eighth of the time at most.
	checksPerBatch = 2

	// checksPerLook deferred messages are checked when there is nothing to read, before
	// the reader tries again: they delay data by about 0.1 ms.
	checksPerLook = 16
)

// An admitter decides, before the handshake queue, about the messages of type 1 to 3
// that one lane receives. It belongs to the goroutine that holds the lane's read lock.
type admitter struct {
	engine   *Engine
	replies  *sender // sends immediate replies
	deferred driver.Deferred
	cookie   [wire.CookieReplySize]byte
	batch    batch.Batch
}

func (e *Engine) newAdmitter() *admitter { return &admitter{engine: e, replies: e.newSender()} }

// receive decides about a message, or defers the decision.
func (a *admitter) receive(from wire.Endpoint, msg []byte) {
	e := a.engine
	now := e.world.Clock().Mono
	d := e.admission.Classify(msg)
	if d.Action == driver.Defer && !a.deferred.HasRoom(d) {
		e.dropHandshake(now, from, msg, dataplane.DropFlood)
		return
	}
	if d.Action == driver.Defer {
		e.admissionMu.Lock()
		d = e.admission.CheckMAC1(d, msg)
		e.admissionMu.Unlock()
	}
	if d.Action == driver.Defer {
		a.deferred.Put(now, d, from, msg)
		return
	}
	a.act(now, from, msg, d)
}

// check checks up to n of the messages that were deferred.
func (a *admitter) check(n int) {
	e := a.engine
	for range n {
		if a.deferred.Waiting() == 0 {
			return
		}
		now, waiting := e.world.Clock().Mono, e.inbox.waiting()
		m, expired := a.deferred.Take(now)
		e.drops.Add(dataplane.DropFlood, expired)
		if m == nil {
			return
		}
		e.admissionMu.Lock()
		d := e.admission.Rest(now, m.From(), m.Bytes(), waiting)
		d.Reply = a.cookie[:copy(a.cookie[:], d.Reply)] // it was valid under the lock only
		e.admissionMu.Unlock()
		a.act(now, m.From(), m.Bytes(), d)
	}
}

func (a *admitter) act(now clock.Time, from wire.Endpoint, msg []byte, d driver.Decision) {
	e := a.engine
	switch d.Action {
	case driver.Drop:
		e.dropHandshake(now, from, msg, d.Reason)
	case driver.Answer:
		to := e.routes.replyTo(from)
		err := driver.SendReply(a.replies, e.drops, to, d.Reply, &a.batch)
		if captures := e.shared.Captures.Load(); captures != nil && batch.Sent(err) {
			captures.Sent(nil, uint16(e.shared.Port.Load()), &a.batch)
		}
		e.handshakes.answered(now, from, msg, err)
	case driver.PutHandshake, driver.PutCookie:
		if !e.inbox.put(d.Action, from, msg) {
			e.dropHandshake(now, from, msg, dataplane.DropQueueFull)
		}
	}
}

func (e *Engine) dropHandshake(now clock.Time, from wire.Endpoint, msg []byte, reason dataplane.Drop) {
	e.drops.Add(reason, 1)
	if reason == dataplane.DropMAC1 {
		e.unread.add(now, from.Remote)
	}
	e.handshakes.dropped(now, from, msg, reason)
}
