package sim

import (
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// Capacity is that of the handshake queue: a quarter of engine's, because the
// jobs of most tests here take longer than real ones.
const Capacity = 1024

// inbox is what waits for the machine's turn.
type inbox struct {
	handshakes []handshake
	finished   []*core.Job
	wants      []*peer.Peer
	wakes      []*peer.Peer
	confirms   []confirmation
}

type handshake struct {
	from wire.Endpoint
	msg  []byte
}

type confirmation struct {
	peer    *peer.Peer
	keypair *session.Keypair
}

// notes is how the data plane reaches the machine.
type notes Host

func (n *notes) Want(p *peer.Peer) {
	n.inbox.wants = append(n.inbox.wants, p)
	(*Host)(n).ring()
}

func (n *notes) Wake(p *peer.Peer) {
	n.inbox.wakes = append(n.inbox.wakes, p)
	(*Host)(n).ring()
}

func (n *notes) Confirm(p *peer.Peer, k *session.Keypair) {
	n.inbox.confirms = append(n.inbox.confirms, confirmation{p, k})
	(*Host)(n).ring()
}

// ring asks for the machine's turn: before anything else happens, or up to
// CoreDelay from now.
func (h *Host) ring() {
	if h.ringing {
		return
	}
	h.ringing = true
	if h.CoreDelay == 0 {
		h.net.rung = append(h.net.rung, h)
		return
	}
	life := h.life
	h.net.After(time.Duration(h.net.Dice.Int64N(int64(h.CoreDelay)+1)), func() {
		if h.life == life && h.ringing {
			h.turn()
		}
	})
}

// turn is the machine's: it takes what waits, does what is due, and what it
// wants is carried out.
func (h *Host) turn() {
	h.ringing = false
	if h.asleep() {
		return // waking up rings
	}
	now := h.Time()
	h.deliver(now)
	if h.Machine.NextTimeout() <= now.Mono {
		h.Machine.Timeout(now)
	}
	for out, ok := h.Machine.Poll(); ok; out, ok = h.Machine.Poll() {
		h.do(&out)
	}
	if in := &h.inbox; len(in.finished)+len(in.wants)+len(in.wakes)+len(in.confirms) > 0 ||
		len(in.handshakes) > 0 && h.room() > 0 {
		h.ring()
	}
	h.setTimer()
}

func (h *Host) deliver(now clock.Now) {
	in := h.inbox
	n := min(max(h.room(), 0), len(in.handshakes))
	h.inbox = inbox{handshakes: in.handshakes[n:]}
	for _, m := range in.handshakes[:n] {
		h.Machine.Receive(now, m.from, m.msg)
	}
	for _, j := range in.finished {
		h.Machine.Finish(now, j)
	}
	for _, c := range in.confirms {
		h.Machine.Confirm(now, c.peer, c.keypair)
	}
	for _, p := range in.wakes {
		h.Machine.Wake(now, p)
	}
	for _, p := range in.wants {
		h.Machine.Want(now, p)
	}
}

func (h *Host) do(out *core.Output) {
	switch out.Kind {
	case core.Send:
		if batch.Sent(h.sendHandshake(out.Endpoint, out.Message)) {
			out.Peer.CountSent(len(out.Message))
		}
	case core.Run:
		h.workers.jobs = append(h.workers.jobs, out.Job)
		h.work()
	case core.Flush:
		if !h.enc.Flush(h.mono(), out.Peer) {
			h.enc.Keepalive(h.mono(), out.Peer)
		}
	case core.Keepalive:
		h.enc.Keepalive(h.mono(), out.Peer)
	case core.Purge:
		h.Drops.Add(dataplane.DropStaged, out.Peer.Purge())
	default:
		h.note(out)
	}
}

// setTimer has the machine looked after when something is due.
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
			h.ring()
		} else {
			h.setTimer()
		}
	})
}

// workers do the jobs.
type workers struct {
	jobs   []*core.Job
	active int
}

// room is how many handshake messages the machine is given.
func (h *Host) room() int { return 4*h.Cores - len(h.workers.jobs) - h.workers.active }

// work begins jobs while there are cores. What a job does when its time is up
// or when it begins must come to the same: a coin decides.
func (h *Host) work() {
	for len(h.workers.jobs) > 0 && h.workers.active < h.Cores {
		j := h.workers.jobs[0]
		h.workers.jobs = h.workers.jobs[1:]
		h.workers.active++
		d := h.JobTime
		if h.JobJitter > 0 {
			d += time.Duration(h.net.Dice.Int64N(int64(h.JobJitter)))
		}
		early := h.net.Dice.IntN(2) == 0
		if early {
			j.Run()
		}
		life := h.life
		h.net.After(d, func() {
			if h.life != life {
				return
			}
			if !early {
				j.Run()
			}
			h.workers.active--
			h.inbox.finished = append(h.inbox.finished, j)
			h.work()
			h.ring()
		})
	}
}

// admit decides about a message of type 1 to 3 before the handshake queue.
func (h *Host) admit(from wire.Endpoint, msg []byte) {
	if t, ok := wire.TypeOf(msg); !ok || t == wire.TypeData {
		return
	} else if t != wire.TypeCookieReply && !h.passGate(from, msg) {
		return
	}
	if len(h.inbox.handshakes) >= Capacity {
		h.Drops.Add(dataplane.DropQueueFull, 1)
		return
	}
	h.inbox.handshakes = append(h.inbox.handshakes, handshake{from, append([]byte(nil), msg...)})
	h.ring()
}

func (h *Host) passGate(from wire.Endpoint, msg []byte) bool {
	verdict, reply := h.Gate.Admit(h.mono(), from.Remote, msg, len(h.inbox.handshakes), Capacity)
	switch verdict {
	case cookie.Admit:
		return true
	case cookie.Reply:
		h.sendHandshake(from, append([]byte(nil), reply...))
	case cookie.DropRate:
		h.Drops.Add(dataplane.DropRate, 1)
	case cookie.DropFull:
		h.Drops.Add(dataplane.DropQueueFull, 1)
	default:
		h.Drops.Add(dataplane.DropMAC1, 1)
	}
	return false
}

func (h *Host) sendHandshake(to wire.Endpoint, msg []byte) error {
	return (*socket)(h).Send(&batch.Batch{Data: msg, Stride: len(msg), Remote: to, TOS: 0x88}) // A56
}

// Disk is what a process leaves to the next one (A20, A21).
type Disk struct {
	Ceiling  wire.TAI64N
	Received map[key.Public]wire.TAI64N
	pending  []core.Output // not written yet
}

// diskInterval is between two writes of received stamps.
const diskInterval = time.Second

func (h *Host) note(out *core.Output) {
	d := &h.Disk
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

// end is what a process does with the disk at its end; a crash does nothing.
func (d *Disk) end(orderly bool) {
	if orderly {
		d.write()
	}
	d.pending = nil
}
