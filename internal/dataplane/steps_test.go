package dataplane

import (
	"bytes"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// A35: what was found simple on a session that is erased meanwhile is dropped.
func TestErasedBeforeOpen(t *testing.T) {
	a, b := pair(t)
	a.send(start, tcpSuper(1, pattern(20000), 1000))
	trains := a.udp.take()
	if !b.dec.Simple(trains) {
		t.Fatal("not simple")
	}
	b.peer.Sessions().Current.Erase()
	b.dec.Open(start)
	b.dec.Deliver(trains)
	b.wantDrops(map[Drop]uint64{DropExpired: 20})
	if len(b.tun.take()) != 0 {
		t.Error("delivered")
	}
}

// What comes in in three steps is what comes in in one.
func TestStepsIn(t *testing.T) {
	for name, frames := range map[string][][]byte{
		"super-packet": {tcpSuper(1, pattern(61500), 1380)},
		"many small":   small(64),
		"short last":   {tcpSuper(1, pattern(20001), 1000)},
	} {
		a, one := pair(t)
		_, three := pair(t)
		a.send(start, frames...)
		trains := a.udp.take()
		again, third := make([]batch.Batch, len(trains)), make([]batch.Batch, len(trains))
		for i := range trains {
			trains[i].Remote = a.at
			again[i], third[i] = copyOf(trains[i]), copyOf(trains[i])
		}
		one.dec.Receive(start, trains)
		if !three.dec.Simple(again) {
			t.Errorf("%s: not simple", name)
			continue
		}
		three.dec.Open(start)
		if len(three.tun.frames) > 0 || three.peer.LastReceived() != 0 {
			t.Errorf("%s: delivered before its turn", name)
		}
		three.dec.Deliver(again)
		got, want := three.tun.take(), one.tun.take()
		if len(got) != len(want) {
			t.Fatalf("%s: %d frames, not %d", name, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%s: frame %d is another", name, i)
			}
		}
		three.wantDrops(nil)
		if three.peer.LastReceived() != start || three.peer.Endpoint() != a.at {
			t.Errorf("%s: not noted", name)
		}
		// A38: the same again, opened by another, is a replay.
		count := 0
		for i := range third {
			count += third[i].Count()
		}
		three.dec.Beside().Receive(start, third)
		three.wantDrops(map[Drop]uint64{DropReplay: uint64(count)})
	}
}

// What is not data of one session in one buffer is left to Receive, untouched.
func TestNotSimpleIn(t *testing.T) {
	a, b := pair(t)
	a.send(start, small(3)...)
	data := a.udp.take()[0]
	handshake := batch.Batch{Data: make([]byte, wire.InitiationSize), Stride: wire.InitiationSize}
	handshake.Data[0] = 1
	other := copyOf(data)
	for i := range other.Count() {
		other.At(i)[4]++ // index
	}
	in := func(buf []byte, off int, b batch.Batch) batch.Batch {
		b.Buf, b.Off = buf, off
		b.Data = buf[off : off+copy(buf[off:], b.Data)]
		return b
	}
	shared := make([]byte, 4096)
	for name, bs := range map[string][]batch.Batch{
		"nothing":      {},
		"no message":   {{Data: []byte("noise"), Stride: 5}},
		"a handshake":  {in(shared, 0, data), in(shared, 2048, handshake)},
		"two sessions": {in(shared, 0, data), in(shared, 2048, other)},
		"two buffers":  {data, copyOf(data)},
	} {
		if b.dec.Simple(bs) {
			t.Errorf("%s: taken for simple", name)
		}
		if len(b.handshakes) > 0 {
			t.Errorf("%s: a handshake was passed on", name)
		}
	}
	b.wantDrops(nil)
	if !b.dec.Simple([]batch.Batch{in(shared, 0, data)}) {
		t.Error("one train is not simple")
	}
	b.dec.count = 0
	many := make([]byte, 129*wire.MinDataSize)
	for i := range 129 {
		many[i*wire.MinDataSize] = byte(wire.TypeData)
	}
	if b.dec.Simple([]batch.Batch{{Data: many, Stride: wire.MinDataSize}}) {
		t.Error("more than fits is simple")
	}
}
