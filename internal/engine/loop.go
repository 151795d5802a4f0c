package engine

import (
	"errors"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

const (
	// longestSleep bounds a sleep, because Go's timers stand still while the
	// machine is suspended and the machine's do not (A39).
	longestSleep = 30 * time.Second

	// handshakeTOS is DSCP AF41 (A56).
	handshakeTOS = 0x88

	// atOnce is how many outputs are carried out before the lock on the machine
	// is taken again.
	atOnce = 64
)

// coreLoop is the only goroutine that carries out what the machine wants. It
// ends when the engine closes.
func (e *Engine) coreLoop() {
	var m mail
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		e.inbox.take(&m, e.workers.room())
		now := e.world.Clock()
		e.mu.Lock()
		e.deliver(now, &m)
		if next := e.machine.NextTimeout(); next <= now.Mono {
			e.machine.Timeout(now)
		}
		next := e.machine.NextTimeout()
		e.mu.Unlock()
		e.carryOut()
		if e.inbox.waiting() > 0 && e.workers.room() > 0 {
			e.inbox.ring() // what was taken made no work that would ring
		}

		timer.Reset(e.sleep(next))
		select {
		case <-e.inbox.bell:
		case <-timer.C:
		case <-e.closing:
			return
		}
	}
}

// sleep is how long nothing is due.
func (e *Engine) sleep(next clock.Time) time.Duration {
	wait := longestSleep
	if next != clock.Never {
		wait = min(wait, next.Sub(e.world.Clock().Mono))
	}
	return max(wait, 0)
}

// deliver gives the machine what came in. The caller holds e.mu.
func (e *Engine) deliver(now clock.Now, m *mail) {
	for i := range m.cookies {
		h := &m.cookies[i]
		e.machine.Receive(now, h.from, h.msg[:h.size])
	}
	for i := range m.handshakes {
		h := &m.handshakes[i]
		e.machine.Receive(now, h.from, h.msg[:h.size])
	}
	for _, j := range m.finished {
		e.machine.Finish(now, j)
	}
	e.drops.Add(dataplane.DropHandshake, e.machine.TakeRefused())
	for _, c := range m.confirms.list {
		e.machine.Confirm(now, c.peer, c.keypair)
	}
	for _, p := range m.wakes.list {
		e.machine.Wake(now, p)
	}
	for _, p := range m.wants.list {
		e.machine.Want(now, p)
	}
}

// carryOut drains the machine. Outputs are carried out without the lock, so
// that configuration and status do not wait for a send.
func (e *Engine) carryOut() {
	for {
		outs := e.outputs[:0]
		e.mu.Lock()
		for len(outs) < atOnce {
			out, ok := e.machine.Poll()
			if !ok {
				break
			}
			outs = append(outs, out)
		}
		e.mu.Unlock()
		if len(outs) == 0 {
			return
		}
		for i := range outs {
			e.do(&outs[i])
		}
		clear(outs)
	}
}

func (e *Engine) do(out *core.Output) {
	now := e.world.Clock().Mono
	switch out.Kind {
	case core.Send:
		err := e.sendHandshake(out.Endpoint, out.Message, batch.Control)
		if errors.Is(err, batch.ErrSourceGone) { // A52
			out.Peer.ForgetSource(out.Endpoint)
		}
		if batch.Sent(err) {
			out.Peer.CountSent(len(out.Message))
		} else { // A40: what follows follows all the same
			e.drops.Add(dataplane.NotSent(err), 1)
		}
	case core.Run:
		e.gear.need(now, holdForChange)
		e.workers.put(out.Job)
	case core.Flush:
		e.world.Log.Debug("a session begins", "peer", out.Peer.Endpoint().Remote)
		// A34: the initiator speaks first, with a keepalive if it has nothing to
		// say, unless a reader of the interface was faster and spoke already.
		if k := out.Peer.Sessions().Sending(); !e.flusher.Flush(now, out.Peer) && (k == nil || k.Sent() == 0) {
			e.flusher.Keepalive(now, out.Peer)
		}
	case core.Keepalive:
		e.flusher.Keepalive(now, out.Peer)
	case core.Purge:
		dropped := out.Peer.Purge()
		e.drops.Add(dataplane.DropStaged, dropped)
		e.world.Log.Debug("packets that waited for a session are dropped", "peer", out.Peer.Endpoint().Remote, "packets", dropped)
	case core.Reserve, core.Accepted, core.Forget:
		e.stamps.note(out)
	}
}

// sendHandshake sends a message of types 1 to 3, which are never segmented.
func (e *Engine) sendHandshake(to wire.Endpoint, msg []byte, class batch.Class) error {
	b := batch.Batch{Data: msg, Stride: len(msg), Remote: to, TOS: handshakeTOS, Class: class}
	err := e.outlet.Send(&b)
	kind, _ := wire.TypeOf(msg)
	if err != nil {
		e.world.Log.Debug("handshake message not sent", "type", kind, "to", to.Remote, "err", err)
	} else {
		e.world.Log.Debug("handshake message sent", "type", kind, "to", to.Remote)
	}
	return err
}
