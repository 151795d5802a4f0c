package dataplane

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// The same datagrams yield the same packets and handshake messages, in the same
// order and with the same notes and drops, whether each batch is opened and
// delivered before the next is read, or several goroutines open batches
// concurrently (A38, A43, B47).
func TestOpenInParallel(t *testing.T) {
	batches, complete := 0, 0
	var dropped [drops]uint64
	for seed := range uint64(12) {
		one, two := newInbound(t, seed), newInbound(t, seed)
		p := newParallel(seed, two.dec.NewJob, (*OpenJob).Open, two.dec.Deliver)
		for range 50 {
			now, bs := one.batch()
			one.dec.Decapsulate(one.opening, now, bs)
			now, bs = two.batch()
			p.next(func(j *OpenJob) bool { return two.dec.Prepare(j, now, bs) })
		}
		p.close()
		batches, complete = batches+p.batches, complete+p.complete
		if got, want := two.tun.take(), one.tun.take(); len(want) == 0 || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("seed %d: %d frames differ from the %d expected", seed, len(got), len(want))
		}
		if got, want := two.handshakes, one.handshakes; len(want) == 0 || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("seed %d: %d handshake messages differ from the %d expected", seed, len(got), len(want))
		}
		got, want := two.tally(two.peers), one.tally(one.peers)
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: notes and drops are %d, want %d", seed, got, want)
		}
		for d := range drops {
			dropped[d] += one.Drops.Count(d)
		}
	}
	for _, d := range []Drop{DropNotAMessage, DropNoSession, DropExpired, DropForged, DropReplay, DropInnerPacket, DropSource} {
		if dropped[d] == 0 {
			t.Errorf("nothing was dropped for %v", d)
		}
	}
	if complete < batches/4 || complete == batches {
		t.Errorf("%d of %d batches were complete when they were prepared", complete, batches)
	}
}

// These jobs are complete after Prepare, and deliver the same as Decapsulate,
// but nothing before Deliver.
func TestOpenComplete(t *testing.T) {
	a, _ := pair(t)
	data := func(frames ...[]byte) []batch.Batch {
		a.send(start, frames...)
		trains := a.udp.take()
		for i := range trains {
			trains[i].Remote = a.at
		}
		return trains
	}
	elsewhere := data(small(3)...)
	for i := range elsewhere[0].Count() {
		elsewhere[0].At(i)[4]++ // index
	}
	for name, bs := range map[string][]batch.Batch{
		"nothing":      nil,
		"super-packet": data(tcpSuper(1, pattern(61500), 1380)),
		"many small":   data(small(64)...),
		"short last":   data(tcpSuper(1, pattern(20001), 1000)),
		"no message":   append(data(small(2)...), batch.Batch{Data: []byte("noise"), Stride: 5}),
		"a handshake":  append(data(small(2)...), batch.Batch{Data: append([]byte{2}, make([]byte, wire.ResponseSize-1)...), Stride: wire.ResponseSize}),
		"two sessions": append(data(small(2)...), elsewhere...),
		"two buffers":  append(data(small(2)...), data(small(2)...)...),
	} {
		_, one := pair(t)
		_, three := pair(t)
		again, third := make([]batch.Batch, len(bs)), make([]batch.Batch, len(bs))
		for i := range bs {
			again[i], third[i] = copyOf(bs[i]), copyOf(bs[i])
		}
		one.dec.Decapsulate(one.opening, start, bs)
		if !three.dec.Prepare(three.opening, start, again) {
			t.Errorf("%s: the job is not complete", name)
			continue
		}
		three.opening.Open()
		if len(three.tun.frames) > 0 || three.peer.LastReceived() != 0 {
			t.Errorf("%s: delivered before Deliver", name)
		}
		three.dec.Deliver(three.opening)
		got, want := three.tun.take(), one.tun.take()
		if !slices.EqualFunc(got, want, bytes.Equal) || (len(want) == 0) != (name == "nothing") {
			t.Errorf("%s: %d frames differ from the %d expected", name, len(got), len(want))
		}
		if !slices.EqualFunc(three.handshakes, one.handshakes, bytes.Equal) || (len(one.handshakes) > 0) != (name == "a handshake") {
			t.Errorf("%s: %d handshake messages differ from the %d expected", name, len(three.handshakes), len(one.handshakes))
		}
		if len(want) > 0 && (three.peer.LastReceived() != start || three.peer.Endpoint() != a.at) {
			t.Errorf("%s: the time of receipt or the endpoint was not updated", name)
		}
		// A38: the same messages in another job are replays.
		received, _ := three.peer.Bytes()
		three.dec.Decapsulate(three.dec.NewJob(), start, third)
		if n, _ := three.peer.Bytes(); n != received || len(three.tun.take()) > 0 {
			t.Errorf("%s: received twice", name)
		}
		replays := three.Drops.Count(DropReplay)
		one.wantDrops(map[Drop]uint64{DropNotAMessage: three.Drops.Count(DropNotAMessage) / 2, DropNoSession: three.Drops.Count(DropNoSession) / 2})
		if (replays > 0) != (len(want) > 0) {
			t.Errorf("%s: %d replays for %d frames", name, replays, len(want))
		}
	}
}

// Messages of several sessions in one buffer, as a read without GRO returns them,
// are each opened with the key of their session.
func TestSessionsInOneBuffer(t *testing.T) {
	a, b := pair(t)
	var frames [][]byte
	for i := range byte(20) {
		if i < 5 {
			linkPeers(a, b, i)
		}
		from, to := netip.AddrFrom4([4]byte{10, 1, 0, i % 5}), netip.AddrFrom4([4]byte{10, 2, 0, i % 5})
		frames = append(frames, frame(udpPacket(from, to, 64, i)))
	}
	a.send(start, frames...)
	b.receive(inOneBuffer(a.udp.take(), a.at)...)
	if got := b.tun.take(); !slices.EqualFunc(got, frames, bytes.Equal) {
		t.Errorf("%d frames of %d, or the frames differ", len(got), len(frames))
	}
	b.wantDrops(nil)
}

// Messages that do not fit into a job are left to Deliver, including handshake
// messages after them.
func TestOpenIncomplete(t *testing.T) {
	a, b := pair(t)
	size := wire.ResponseSize
	var train []byte
	for i := range 200 {
		if i == 0 || i == 199 {
			train = append(train, append([]byte{2, 0, 0, 0}, make([]byte, size-4)...)...)
		}
		train = append(train, seal(a.peer.Sessions().Current, a.at, 0, udpPacket(addrA, addrB, size-32, byte(i))).Data...)
	}
	if b.dec.Prepare(b.opening, start, []batch.Batch{{Data: train, Stride: size, Remote: a.at}}) {
		t.Error("the job is complete")
	}
	b.opening.Open()
	if len(b.handshakes) != 1 || len(b.tun.take()) > 0 {
		t.Errorf("%d handshake messages before Deliver, want 1 and no frames", len(b.handshakes))
	}
	b.dec.Deliver(b.opening)
	n := 0
	for _, f := range b.tun.take() {
		for _, p := range splitAll(f) {
			if p[len(p)-1] != byte(n) {
				t.Fatalf("got packet %d, want %d", p[len(p)-1], n)
			}
			n++
		}
	}
	if n != 200 || len(b.handshakes) != 2 {
		t.Errorf("%d packets and %d handshake messages, want 200 and 2", n, len(b.handshakes))
	}
	b.wantDrops(nil)
}

// A35: messages prepared on a session that is erased before Open are dropped and
// counted.
func TestErasedBeforeOpen(t *testing.T) {
	a, b := pair(t)
	a.send(start, tcpSuper(1, pattern(20000), 1000))
	if !b.dec.Prepare(b.opening, start, a.udp.take()) {
		t.Fatal("the job is not complete")
	}
	b.peer.Sessions().Current.Erase()
	b.opening.Open()
	b.dec.Deliver(b.opening)
	b.wantDrops(map[Drop]uint64{DropExpired: 20})
	if len(b.tun.take()) != 0 {
		t.Error("packets of an erased session were delivered")
	}
}
