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
	// longestSleep bounds a sleep, because Go's timers stand still while the
	// machine is suspended and the machine's do not (A39).
	longestSleep = 30 * time.Second

	// atOnce is how many outputs are carried out before the lock on the machine
	// is taken again.
	atOnce = 64
)

// coreLoop is the only goroutine that carries out what the machine wants. It
// ends when the engine closes.
func (e *Engine) coreLoop() {
	var d driver.Delivery
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		e.inbox.take(&d, e.workers.room())
		now := e.world.Clock()
		e.mu.Lock()
		next := d.Deliver(e.machine, now, e.drops)
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
			now := e.world.Clock().Mono
			if out := &outs[i]; out.Kind == core.Send {
				out.Endpoint = e.routes.ensure(out.Peer, out.Endpoint)
			}
			result := driver.CarryOut((*effects)(e), e.drops, now, &outs[i])
			e.handshakes.output(now, &outs[i], result)
		}
		clear(outs)
	}
}

// effects are what the machine's outputs act on: coreLoop's driver.Effects.
type effects Engine

func (x *effects) Send(b *batch.Batch) error { return x.sender.Send(b) }

func (x *effects) Flush(now clock.Time, p *peer.Peer) bool {
	return x.flusher.Flush(x.flushing, now, p)
}

func (x *effects) Keepalive(now clock.Time, p *peer.Peer) bool {
	return x.flusher.Keepalive(x.flushing, now, p)
}

func (x *effects) Start(now clock.Time, j *core.Job) {
	x.lanes.NeedProcessors(now)
	x.workers.put(j)
}

func (x *effects) Remember(out *core.Output) { x.stamps.note(out) }
