package dataplane

import (
	"wgd/internal/batch"
	"wgd/internal/clock"
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
