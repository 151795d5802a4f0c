package engine

import (
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/driver"
	"wgd/internal/peer"
)

const (
	// longestSleep bounds a sleep, because Go's timers stop while the computer
	// is suspended, and those of the protocol machine do not (A39).
	longestSleep = 30 * time.Second

	// outputBatch is how many outputs are taken under one lock of the machine.
	outputBatch = 64
)

// coreLoop is the only goroutine that carries out the machine's outputs. It
// ends when the engine closes.
func (e *Engine) coreLoop() {
	var d driver.Delivery
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		e.inbox.take(&d, e.workers.room())
		now := e.world.Clock()
		e.mu.Lock()
		e.useNames(now)
		next := d.Deliver(e.machine, now, e.drops)
		e.mu.Unlock()
		e.carryOut()
		e.reportDrops(now)
		if e.inbox.waiting() > 0 && e.workers.room() > 0 {
			e.inbox.ring() // the messages taken started no job whose end would ring
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

// sleep returns how long to sleep if the next timer is due at next.
func (e *Engine) sleep(next clock.Time) time.Duration {
	wait := longestSleep
	if e.world.Events != nil {
		wait = dropInterval
	}
	if next != clock.Never {
		wait = min(wait, next.Sub(e.world.Clock().Mono))
	}
	return max(wait, 0)
}

// carryOut carries out all outputs of the machine, without holding its lock, so
// that configuration and status do not wait for a send.
func (e *Engine) carryOut() {
	for {
		outs := e.outputs[:0]
		e.mu.Lock()
		for len(outs) < outputBatch {
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
			now := e.world.Clock().Mono
			if out := &outs[i]; out.Kind == core.Send {
				out.Endpoint = e.routes.ensure(out.Peer, out.Endpoint)
			}
			result := e.carryOutOne(now, &outs[i])
			if outs[i].Kind == core.Send && !batch.Sent(result.Err) {
				e.noteSendFailed(&outs[i], result.Err)
			}
			e.handshakes.output(now, &outs[i], result)
			e.outcomes.note(&outs[i])
			e.report(&outs[i])
		}
		clear(outs)
	}
}

// effects carries out outputs for coreLoop. It is a driver.Effects.
type effects Engine

func (x *effects) Send(b *batch.Batch) error { return x.sender.Send(b) }

func (x *effects) Flush(now clock.Time, p *peer.Peer) bool {
	return x.flusher.Flush(x.flushing, now, p)
}

func (x *effects) Keepalive(now clock.Time, p *peer.Peer) bool {
	return x.flusher.Keepalive(x.flushing, now, p)
}

func (x *effects) Probe(now clock.Time, p *peer.Peer, frame []byte, size int) {
	x.flusher.Probe(x.flushing, now, p, frame, size)
}

func (x *effects) Start(now clock.Time, j *core.Job) {
	x.lanes.NeedProcessors(now)
	x.workers.put(j)
}

func (x *effects) Remember(out *core.Output) { x.stamps.note(out) }
