package sim

import (
	"bytes"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// Capacity is the capacity of the handshake queue: a quarter of engine's, because
// jobs in most tests here take longer than real ones.
const Capacity = driver.Capacity / 4

// notes puts the notes of the data plane into the inbox.
type notes Host

func (n *notes) Want(p *peer.Peer) { (*Host)(n).posted(n.inbox.Want(p)) }

func (n *notes) Wake(p *peer.Peer) { (*Host)(n).posted(n.inbox.Wake(p)) }

func (n *notes) Confirm(p *peer.Peer, k *session.Keypair) { (*Host)(n).posted(n.inbox.Confirm(p, k)) }

func (n *notes) Probe(p *peer.Peer, wish peer.ProbeWish) { (*Host)(n).posted(n.inbox.Probe(p, wish)) }

func (n *notes) ProbeAnswered(p *peer.Peer, a packet.EchoAnswer) {
	(*Host)(n).posted(n.inbox.ProbeAnswered(p, a))
}

// posted schedules the machine if something new is in the inbox.
func (h *Host) posted(ok bool) {
	if ok {
		h.schedule()
	}
}

// Route does nothing: the simulation has no routes to look up.
func (n *notes) Route(*peer.Peer) {}

// schedule has the machine run before any other event, or after a random delay of
// up to CoreDelay.
func (h *Host) schedule() {
	if h.scheduled {
		return
	}
	h.scheduled = true
	if h.CoreDelay == 0 {
		h.net.runnable = append(h.net.runnable, h)
		return
	}
	life := h.life
	h.net.After(time.Duration(h.net.Rand.Int64N(int64(h.CoreDelay)+1)), func() {
		if h.life == life && h.scheduled {
			h.runMachine()
		}
	})
}

// runMachine is one iteration of engine's coreLoop: the machine receives what is in
// the inbox and does what is due, and its outputs are carried out.
func (h *Host) runMachine() {
	h.scheduled = false
	if h.asleep() {
		return // Sleep has scheduled it for later
	}
	h.inbox.Take(&h.delivery, h.jobs.Space(h.Cores))
	h.delivery.Deliver(h.Machine, h.Time(), h.Drops)
	for out, ok := h.Machine.Poll(); ok; out, ok = h.Machine.Poll() {
		driver.CarryOut((*effects)(h), h.Drops, h.mono(), &out)
		if h.Output != nil {
			h.Output(&out)
		}
		if event, ok := out.Report(); ok && h.Events != nil {
			h.Events(event)
		}
	}
	if h.inbox.Waiting() > 0 && h.jobs.Space(h.Cores) > 0 {
		h.schedule()
	}
	h.setTimer()
}

// effects carries out the machine's outputs.
type effects Host

func (x *effects) Send(b *batch.Batch) error { return (*socket)(x).Send(b) }

func (x *effects) Flush(now clock.Time, p *peer.Peer) bool { return x.enc.Flush(x.sealing, now, p) }

func (x *effects) Keepalive(now clock.Time, p *peer.Peer) bool {
	return x.enc.Keepalive(x.sealing, now, p)
}

func (x *effects) Probe(now clock.Time, p *peer.Peer, frame []byte, size int) {
	x.enc.Probe(x.sealing, now, p, frame, size)
}

func (x *effects) Start(_ clock.Time, j *core.Job) {
	x.jobs.Put(j)
	(*Host)(x).work()
}

func (x *effects) Remember(out *core.Output) { x.Disk.remember((*Host)(x), out) }

// setTimer schedules the machine for its next timeout.
func (h *Host) setTimer() {
	next := h.Machine.NextTimeout()
	if next == clock.Never {
		return
	}
	at := max(next.Sub(boot(h.Name)), h.net.now)
	if h.timer != 0 && h.timer <= at {
		return
	}
	h.timer = at
	life := h.life
	h.net.After(at-h.net.now, func() {
		if h.life != life || h.timer != at {
			return
		}
		h.timer = 0
		if h.asleep() {
			return
		}
		if h.Machine.NextTimeout() <= h.mono() {
			h.schedule()
		} else {
			h.setTimer()
		}
	})
}

// work starts batches of jobs while there are free cores. A job must have the same effect
// whether it runs at the beginning or at the end of its time, so that is random.
func (h *Host) work() {
	for h.jobs.Ready(h.Cores) {
		batch := h.jobs.Next(nil)
		d := h.JobTime
		if h.JobJitter > 0 {
			d += time.Duration(h.net.Rand.Int64N(int64(h.JobJitter)))
		}
		early := h.net.Rand.IntN(2) == 0
		if early {
			core.RunTogether(batch)
		}
		life := h.life
		h.net.After(d, func() {
			if h.life != life {
				return
			}
			if !early {
				core.RunTogether(batch)
			}
			h.jobs.Done(batch)
			for _, j := range batch {
				h.inbox.PutFinished(j)
			}
			h.work()
			h.schedule()
		})
	}
}

// admit decides about a message of type 1 to 3 before the handshake queue. There is always
// time to check it.
func (h *Host) admit(from wire.Endpoint, msg []byte) {
	admission := driver.Admission{Gate: h.Gate, Index: h.Index, Capacity: Capacity}
	d := admission.Classify(msg)
	if d.Action == driver.Defer {
		d = admission.CheckMAC1(d, msg)
	}
	if d.Action == driver.Defer {
		d = admission.Rest(h.mono(), from, msg, h.inbox.Waiting())
	}
	switch d.Action {
	case driver.Drop:
		h.Drops.Add(d.Reason, 1)
	case driver.Answer:
		driver.SendReply((*socket)(h), h.Drops, from, bytes.Clone(d.Reply), &batch.Batch{})
	case driver.PutHandshake, driver.PutCookie:
		queued := h.inbox.Put(d.Action, from, msg)
		if !queued {
			h.Drops.Add(dataplane.DropQueueFull, 1)
		}
		h.posted(queued)
	}
}

// A Disk holds what a process saves for the next one (A20, A21).
type Disk struct {
	Ceiling  wire.TAI64N
	Received map[key.Public]wire.TAI64N
	pending  []core.Output // not written yet
}

// diskInterval is the time between two writes of received stamps.
const diskInterval = time.Second

// remember handles an output of the machine about a stamp.
func (d *Disk) remember(h *Host, out *core.Output) {
	if out.Kind == core.Reserve {
		d.Ceiling = out.Stamp
		return
	}
	d.pending = append(d.pending, *out)
	if len(d.pending) == 1 {
		life := h.life
		h.net.After(diskInterval, func() {
			if h.life == life {
				d.write()
			}
		})
	}
}

func (d *Disk) write() {
	for _, out := range d.pending {
		if out.Kind == core.Forget {
			delete(d.Received, out.PublicKey)
		} else {
			d.Received[out.PublicKey] = out.Stamp
		}
	}
	d.pending = nil
}
