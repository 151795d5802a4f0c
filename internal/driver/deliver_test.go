package driver

import (
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// Two machines whose only input is deliveries complete a handshake: all queued
// input reaches the machine, and due timers fire.
func TestDeliver(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	b.know(a.public, from(1).Remote)
	b.poll() // discard the output that reserves stamps
	ina, inb := NewInbox(8), NewInbox(8)
	var d Delivery
	drops := &dataplane.Drops{}
	now := start
	turn := func(x *node, in *Inbox, room int) clock.Time {
		in.Take(&d, room)
		return d.Deliver(x.m, now, drops)
	}
	work := func(x *node, in *Inbox) {
		j := x.only(core.Run).Job
		j.Run()
		in.PutFinished(j)
	}

	work(a, ina)
	turn(a, ina, 0)
	inb.Put(PutHandshake, from(1), a.only(core.Send).Message)
	turn(b, inb, 0)
	if outs := b.poll(); len(outs) != 0 || inb.Waiting() != 1 {
		t.Fatalf("without room: got outputs %+v, %d waiting; want none, 1 waiting", outs, inb.Waiting())
	}
	turn(b, inb, 1)
	work(b, inb)
	turn(b, inb, 1)
	work(b, inb)
	turn(b, inb, 1)
	ina.Put(PutHandshake, from(2), b.only(core.Send).Message)
	turn(a, ina, 1)
	work(a, ina)
	turn(a, ina, 1)
	a.only(core.Flush)

	// The data plane of b has opened the first packet.
	p := b.m.Peers()[0]
	next := p.Sessions().Next
	next.Confirm()
	inb.Confirm(p, next)
	turn(b, inb, 0)
	if p.Sessions().Current != next {
		t.Error("the next session did not become current")
	}
	// b has received data and sent nothing back, so its next timeout is earlier.
	before := b.m.NextTimeout()
	p.NoteReceived(start.Mono, true)
	inb.Wake(p)
	if after := turn(b, inb, 0); after >= before || after != b.m.NextTimeout() {
		t.Errorf("got next timeout %v, want one before %v", after, before)
	}
	// Its session is too old to send on, and there is a packet to send.
	now = at(time.Hour)
	inb.Want(p)
	turn(b, inb, 0)
	if !b.only(core.Run).Job.Initiates() {
		t.Error("got a job that does not initiate, want an initiation")
	}
	if n := len(drops.Status()); n != 0 {
		t.Errorf("got drops %v, want none", drops.Status())
	}
}

// A7: a message that the machine refuses is counted once.
func TestDeliverCountsRefusals(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	in := NewInbox(8)
	var d Delivery
	drops := &dataplane.Drops{}
	in.Put(PutHandshake, from(2), initiation(t, b.private, a.public)) // b is no peer of a
	in.Take(&d, 8)
	d.Deliver(a.m, start, drops)
	j := a.only(core.Run).Job
	j.Run()
	in.PutFinished(j)
	for range 2 {
		in.Take(&d, 8)
		d.Deliver(a.m, start, drops)
		if n := drops.Count(dataplane.DropHandshake); n != 1 {
			t.Errorf("counted %d refused handshakes, want 1", n)
		}
	}
}

// A26, A39: the next initiation uses the cookie for the last one, and is sent as
// soon as the machine runs again, even if it slept far past the timeout.
func TestDeliverCookieAndTimeout(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	b.gate.SetForce(true)
	sent := runAndSend(t, a)
	admission := Admission{Gate: b.gate, Index: b.index, Capacity: 8}
	decision := admission.admit(start.Mono, from(1), sent, 0)
	in := NewInbox(8)
	in.Put(PutCookie, from(2), decision.Reply)
	var d Delivery
	in.Take(&d, 0)
	next := d.Deliver(a.m, start, &dataplane.Drops{})
	if outs := a.poll(); len(outs) != 1 || outs[0].Kind != core.Log || outs[0].Event != core.CookieReceived {
		t.Fatalf("after a cookie reply: got outputs %+v, want one log entry", outs)
	}
	later := at(time.Hour)
	if next <= start.Mono || next >= later.Mono {
		t.Fatalf("got next timeout %v, want one between %v and %v", next, start.Mono, later.Mono)
	}
	in.Take(&d, 0)
	d.Deliver(a.m, later, &dataplane.Drops{})
	again := runAndSend(t, a)
	if again[0] != byte(wire.TypeInitiation) || admission.admit(start.Mono, from(1), again, 0).Action != PutHandshake {
		t.Error("the retransmission was not admitted: it has no valid cookie")
	}
}
