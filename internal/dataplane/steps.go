package dataplane

import (
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// A batch that is large and simple can be carried in three steps, of which the
// middle one, in which nearly all the work is, needs no order: several
// goroutines do it at once, each with an Encapsulator or Decapsulator of its
// own. The first and the last step are for the caller to bring into order.
//
//	     in the order of reading    beside each other    in the order of reading
//	out  Plan: reserve counters     Seal                 Dispatch: send, note
//	in   Simple                     Open                 Deliver: accept, note, write
//
// What is not simple is refused by the first step and nothing is done: then
// Encapsulate or Receive carries it, when all that was read before is through.

// planned is what Plan found out.
type planned struct {
	frames [][]byte
	ttls   []byte // around the packets of each frame
	first  uint64 // of the counters that are reserved
	count  int    // of them
	sealed bool
}

// Beside returns another Encapsulator for the same packets. What both remember
// is one: Encapsulate and Plan of one of them must not run beside those of
// another, nor Dispatch beside Dispatch or Encapsulate.
func (e *Encapsulator) Beside() *Encapsulator {
	b := NewEncapsulator(e.Shared, e.tun, e.udp)
	b.recall = e.recall
	return b
}

// Plan reserves the counters for frames, if they all go to one peer that has a
// session and an endpoint, and nothing is wrong with any of them, and they fit
// into one buffer. If so, Seal and Dispatch must follow; frames are kept until
// then. Packets that are staged go first, so then the answer is no (A43).
func (e *Encapsulator) Plan(now clock.Time, frames [][]byte) bool {
	e.begin(now)
	count := e.survey(frames)
	if count == 0 || e.to.peer.HasStaged() {
		e.to = destination{}
		return false
	}
	first, ok := e.to.key.Reserve(count)
	if !ok {
		e.to = destination{}
		return false
	}
	e.planned = planned{frames: frames, ttls: e.planned.ttls, first: first, count: count}
	return true
}

// survey aims at the peer of all frames and counts their packets; 0 when they
// are not simple.
func (e *Encapsulator) survey(frames [][]byte) int {
	routes := e.Routes.Load()
	count, size := 0, 0
	e.planned.ttls = e.planned.ttls[:0]
	for i, frame := range frames {
		if len(frame) < packet.VirtioHeaderSize || !packet.IsIP(frame[packet.VirtioHeaderSize:]) {
			return 0
		}
		p, ok := e.answers.Lookup(routes, packet.Destination(frame[packet.VirtioHeaderSize:]))
		if !ok {
			return 0
		}
		if i == 0 && !e.reaches(p) || p != e.to.peer {
			return 0
		}
		// The first packet of a frame is the longest.
		if !e.segments.Reset(frame) || e.segments.Next() > e.to.limit {
			return 0
		}
		ttl, loop := e.nesting(frame[packet.VirtioHeaderSize:])
		if loop {
			return 0
		}
		e.planned.ttls = append(e.planned.ttls, ttl)
		count += e.segments.Count()
		size += e.segments.Count() * (e.padded(e.segments.Next()) + overhead)
	}
	if count > maxPackets || size > len(e.buf) {
		return 0
	}
	return count
}

// reaches aims at p and reports whether packets can go there at once.
func (e *Encapsulator) reaches(p *peer.Peer) bool {
	e.aim(p)
	return e.to.key != nil && e.to.endpoint.IsValid()
}

// Seal segments and seals what was planned.
func (e *Encapsulator) Seal() {
	for i, frame := range e.planned.frames {
		if !e.segments.Reset(frame) {
			continue
		}
		head := header{packet.ECN(frame[packet.VirtioHeaderSize:]), e.planned.ttls[i]}
		for n := e.segments.Next(); n > 0 && e.count < e.planned.count; n = e.segments.Next() {
			count := min(e.segments.Run(), e.planned.count-e.count)
			inner, stride := e.place(n, count, head)
			e.segments.PutRun(inner, stride, count)
		}
	}
	e.planned.frames = nil
	e.planned.sealed = e.to.key.Seal(e.buf, e.spans[:e.count], e.planned.first)
}

// Dispatch sends what Seal has sealed, and notes that.
func (e *Encapsulator) Dispatch() {
	e.dispatch(e.planned.sealed)
	e.to = destination{}
}

// Beside returns another Decapsulator for the same datagrams. What both
// remember is one: Receive and Deliver of one of them must not run beside those
// of another.
func (d *Decapsulator) Beside() *Decapsulator {
	b := NewDecapsulator(d.Shared, d.tun, d.handshake)
	b.reminder = d.reminder
	return b
}

// Simple reports whether bs is data of one session in one buffer, not too much
// of it. If so, Open and Deliver may carry it.
func (d *Decapsulator) Simple(bs []batch.Batch) bool {
	d.count = 0
	for i := range bs {
		if !d.sameSession(&bs[i], i) {
			d.count = 0
			return false
		}
	}
	return d.count > 0
}

// sameSession gathers the messages of a train, unless one of them is not data
// of the session of those before it.
func (d *Decapsulator) sameSession(b *batch.Batch, train int) bool {
	buf, off := b.Buf, b.Off
	if buf == nil {
		buf, off = b.Data, 0
	}
	for j := range b.Count() {
		msg := b.At(j)
		kind, ok := wire.TypeOf(msg)
		if !ok || kind != wire.TypeData || d.count == maxPackets {
			return false
		}
		to := wire.DataIndex(msg)
		if d.count > 0 && (to != d.index || &buf[0] != &d.buf[0]) {
			return false
		}
		d.buf, d.index = buf, to
		d.gather(off, len(msg), train)
		off += len(msg)
	}
	return true
}

// Open authenticates and decrypts, in place, what Simple has found.
func (d *Decapsulator) Open(now clock.Time) {
	d.now = now
	d.opened = d.authenticate()
}

// Deliver accepts, notes and writes what Open has opened, of the same bs.
func (d *Decapsulator) Deliver(bs []batch.Batch) {
	d.begin(d.now)
	if d.opened != nil {
		d.accept(d.opened, bs)
		d.write(d.joined.Flush())
	}
	d.opened, d.count = nil, 0
}
