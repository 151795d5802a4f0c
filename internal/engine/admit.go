package engine

import (
	"bytes"

	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/wire"
)

// admit decides, before the handshake queue, about a message of type 1 to 3.
func (e *Engine) admit(from wire.Endpoint, msg []byte) {
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
		e.drops.Add(d.Reason, 1)
	case driver.Answer:
		e.logSend(driver.SendReply(e.outlet, e.drops, from, d.Reply), from, d.Reply)
	case driver.PutHandshake, driver.PutCookie:
		queued := e.inbox.put(d.Action, from, msg)
		if !queued {
			e.drops.Add(dataplane.DropQueueFull, 1)
		}
		kind, _ := wire.TypeOf(msg)
		e.world.Log.Debug("handshake message received", "type", kind, "from", from.Remote, "queued", queued)
	}
}
