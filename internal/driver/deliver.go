package driver

import (
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
)

// Delivery is what the machine is told at once. Its memory is used again: one
// Delivery serves all turns.
type Delivery struct {
	handshakes []handshake
	cookies    []handshake
	finished   []*core.Job
	wants      notes[*peer.Peer]
	wakes      notes[*peer.Peer]
	confirms   notes[confirmation]
}

// Deliver gives the machine what was taken, has it do what is due, and returns
// when it wants to be called next.
//
// Messages and finished jobs come before the notes of the data plane, because a
// note is judged by the sessions that these may change. Of the notes, Confirm
// comes first: it changes which session is sent on, which Want and Wake ask about.
func (d *Delivery) Deliver(m *core.Machine, now clock.Now, drops *dataplane.Drops) (next clock.Time) {
	for i := range d.cookies {
		h := &d.cookies[i]
		m.Receive(now, h.from, h.msg[:h.size])
	}
	for i := range d.handshakes {
		h := &d.handshakes[i]
		m.Receive(now, h.from, h.msg[:h.size])
	}
	d.Finish(m, now)
	drops.Add(dataplane.DropHandshake, m.TakeRefused())
	for _, c := range d.confirms.list {
		m.Confirm(now, c.peer, c.keypair)
	}
	for _, p := range d.wakes.list {
		m.Wake(now, p)
	}
	for _, p := range d.wants.list {
		m.Want(now, p)
	}
	if m.NextTimeout() <= now.Mono {
		m.Timeout(now)
	}
	return m.NextTimeout()
}

// Finish gives the machine the finished jobs only: at the end, when nothing
// else counts any more, they must still give back what they borrowed.
func (d *Delivery) Finish(m *core.Machine, now clock.Now) {
	for _, j := range d.finished {
		m.Finish(now, j)
	}
}
