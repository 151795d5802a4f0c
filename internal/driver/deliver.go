package driver

import (
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
)

// A Delivery is what the machine receives in one iteration of its loop. One Delivery
// is reused for all of them.
type Delivery struct {
	handshakes []handshake
	cookies    []handshake
	finished   []*core.Job
	wants      notes[*peer.Peer]
	wakes      notes[*peer.Peer]
	confirms   notes[confirmation]
	wishes     notes[probeWish]
	answers    notes[probeAnswer]
}

// Deliver passes what was taken to the machine, calls its Timeout if that is due, and
// returns the time of its next timeout.
//
// Messages and finished jobs come before the notes of the data plane, because a
// note is judged by the sessions that these may change. Of the notes, Confirm
// comes first: it changes which session is sent on, and Want and Wake depend on that.
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
	for _, a := range d.answers.list {
		m.ProbeAnswered(now, a.peer, a.answer)
	}
	for _, w := range d.wishes.list {
		m.Probe(now, w.peer, w.wish)
	}
	if m.NextTimeout() <= now.Mono {
		m.Timeout(now)
	}
	return m.NextTimeout()
}

// Finish passes only the finished jobs to the machine. At the end, they must still
// return what they borrowed.
func (d *Delivery) Finish(m *core.Machine, now clock.Now) {
	for _, j := range d.finished {
		m.Finish(now, j)
	}
}
