package engine

import (
	"bytes"

	"wgd/internal/clock"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/wire"
)

// admit decides, before the handshake queue, about a message of type 1 to 3. replies
// sends what is to be answered at once.
func (e *Engine) admit(replies *sender, from wire.Endpoint, msg []byte) {
	waiting := e.inbox.waiting()
	now := e.world.Clock().Mono
	e.admissionMu.Lock()
	d := e.admission.Admit(now, from, msg, waiting)
	if d.Action == driver.Answer {
		d.Reply = bytes.Clone(d.Reply) // it is valid under the lock only
	}
	e.admissionMu.Unlock()

	switch d.Action {
	case driver.Drop:
		e.dropHandshake(now, from, msg, d.Reason)
	case driver.Answer:
		to := e.routes.replyTo(from)
		err := driver.SendReply(replies, e.drops, to, d.Reply)
		e.handshakes.answered(now, from, msg, err)
	case driver.PutHandshake, driver.PutCookie:
		if !e.inbox.put(d.Action, from, msg) {
			e.dropHandshake(now, from, msg, dataplane.DropQueueFull)
		}
	}
}

func (e *Engine) dropHandshake(now clock.Time, from wire.Endpoint, msg []byte, reason dataplane.Drop) {
	e.drops.Add(reason, 1)
	e.handshakes.dropped(now, from, msg, reason)
}
