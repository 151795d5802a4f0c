package dataplane

import (
	"bytes"
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// What leaves in three steps is what leaves in one, to the byte, and so is what
// is noted.
func TestStepsOut(t *testing.T) {
	for name, frames := range map[string][][]byte{
		"super-packet":      {tcpSuper(1, pattern(61500), 1380)},
		"short last":        {tcpSuper(1, pattern(20001), 1000)},
		"behind an ack":     {frame(udpPacket(addrA, addrB, 64)), tcpSuper(1, pattern(30000), 1380)},
		"many small":        small(64),
		"IPv6":              {frame(udpPacket(addrA6, addrB6, 1420))},
		"as many as can be": {tcpSuper(1, pattern(128*200), 200)},
	} {
		one, _ := pair(t)
		three, _ := pair(t)
		one.send(start, frames...)
		// The first is done by another, so that the counters go on over both.
		for _, e := range []*Encapsulator{three.enc, three.enc.Beside()} {
			if !e.Plan(start, frames) {
				t.Fatalf("%s: not simple", name)
			}
			e.Seal()
			e.Dispatch()
		}
		one.send(start, frames...)
		if got, want := three.udp.take(), one.udp.take(); !sameTrains(got, want) {
			t.Errorf("%s: %d trains, not the same as %d", name, len(got), len(want))
		}
		if _, sent := three.peer.Bytes(); sent == 0 || three.peer.LastSent() != start || three.peer.Unanswered() != start {
			t.Errorf("%s: %d bytes are noted, at %d", name, sent, three.peer.LastSent())
		}
		three.wantDrops(nil)
	}
}

func sameTrains(a, b []batch.Batch) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i].Data, b[i].Data) || a[i].Stride != b[i].Stride || a[i].Remote != b[i].Remote || a[i].ECN != b[i].ECN {
			return false
		}
	}
	return true
}

// Counters belong to who planned first, whoever seals first.
func TestPlanReserves(t *testing.T) {
	a, b := pair(t)
	first, second := a.enc, a.enc.Beside()
	frames := [2][][]byte{{tcpSuper(1, pattern(30000), 1000)}, {tcpSuper(30001, pattern(30000), 1000)}}
	if !first.Plan(start, frames[0]) || !second.Plan(start, frames[1]) {
		t.Fatal("not simple")
	}
	second.Seal()
	first.Seal()
	first.Dispatch()
	second.Dispatch()
	trains := a.udp.take()
	var want uint64
	for i := range trains {
		for j := range trains[i].Count() {
			if got := wire.DataCounter(trains[i].At(j)); got != want {
				t.Fatalf("counter %d in the place of %d", got, want)
			}
			want++
		}
	}
	if want != 60 {
		t.Errorf("%d packets, not 60", want)
	}
	for i := range trains {
		trains[i].Remote = a.at
	}
	b.dec.Receive(start, trains)
	b.wantDrops(nil)
}

// Whatever is not simple is left to Encapsulate: nothing is reserved, noted,
// dropped or answered.
func TestNotSimpleOut(t *testing.T) {
	super := tcpSuper(1, pattern(20000), 1000)
	other := netip.MustParseAddr("10.0.9.9")
	damaged := tcpSuper(1, pattern(20000), 1000)
	damaged[4] = 0 // gso_size
	damaged[5] = 0
	for name, c := range map[string]struct {
		frames  [][]byte
		prepare func(s *side)
	}{
		"nothing":    {nil, nil},
		"no IP":      {[][]byte{super, make([]byte, 40)}, nil},
		"too short":  {[][]byte{super, make([]byte, 5)}, nil},
		"to nowhere": {[][]byte{super, frame(udpPacket(addrA, addrA, 64))}, nil},
		"malformed":  {[][]byte{damaged}, nil},
		"too many":   {[][]byte{tcpSuper(1, pattern(129*100), 100)}, nil},
		"too much":   {[][]byte{tcpSuper(1, pattern(60000), 1380), tcpSuper(1, pattern(60000), 1380), tcpSuper(1, pattern(60000), 1380)}, nil},
		"too big":    {[][]byte{frame(udpPacket(addrA, addrB, 65535))}, nil},
		"two peers":  {[][]byte{super, frame(udpPacket(addrA, other, 64))}, func(s *side) { s.route(peer.New(s.common), netip.PrefixFrom(other, 32)) }},
		"no session": {[][]byte{super}, func(s *side) { s.peer.SetSessions(nil) }},
		"old session": {[][]byte{super}, func(s *side) {
			k, _ := keypairs(start.Add(-session.RejectAfterTime))
			s.peer.SetSessions(&peer.Sessions{Current: k})
		}},
		"worn session": {[][]byte{super}, func(s *side) {
			s.peer.Sessions().Current.Reserve(int(session.RejectAfterMessages >> 1))
			s.peer.Sessions().Current.Reserve(int(session.RejectAfterMessages>>1) - 5)
		}},
		"no endpoint":   {[][]byte{super}, func(s *side) { s.peer = bare(s) }},
		"staged (A43)":  {[][]byte{super}, func(s *side) { s.peer.Stage(super, 20) }},
		"our own again": {[][]byte{super, nil}, nil},
	} {
		a, b := pair(t)
		if c.prepare != nil {
			c.prepare(a)
		}
		if name == "our own again" {
			a.send(start, small(1)...)
			msg := a.udp.take()[0].Data
			own := udpPacket(addrA, b.at.Remote.Addr(), 28+len(msg), msg...)
			own[20], own[21] = byte(a.Port.Load()>>8), byte(a.Port.Load())
			own[22], own[23] = byte(b.at.Remote.Port()>>8), byte(b.at.Remote.Port())
			a.route(a.peer, netip.PrefixFrom(b.at.Remote.Addr(), 32))
			c.frames[1] = frame(own)
		}
		var before uint64
		if k := a.peer.Sessions().Current; k != nil {
			before = k.Sent()
		}
		if a.enc.Plan(start, c.frames) {
			t.Errorf("%s: taken for simple", name)
		}
		if k := a.peer.Sessions().Current; k != nil && k.Sent() != before {
			t.Errorf("%s: counters were reserved", name)
		}
		if len(a.udp.take()) > 0 || len(a.tun.take()) > 0 {
			t.Errorf("%s: something was sent", name)
		}
		a.wantDrops(nil)
	}
}

// bare replaces the peer by one without an endpoint.
func bare(s *side) *peer.Peer {
	p := peer.New(s.common)
	p.SetSessions(s.peer.Sessions())
	s.route(p, netip.PrefixFrom(addrB, 32))
	return p
}

// A35: what was planned on a session that is erased meanwhile is dropped and
// counted, and a new session is asked for.
func TestErasedBetweenSteps(t *testing.T) {
	a, _ := pair(t)
	if !a.enc.Plan(start, [][]byte{tcpSuper(1, pattern(20000), 1000)}) {
		t.Fatal("not simple")
	}
	a.peer.Sessions().Current.Erase()
	a.enc.Seal()
	a.enc.Dispatch()
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 20})
	if wants, _, _ := a.notes.take(); wants != 1 || len(a.udp.take()) != 0 {
		t.Errorf("%d wants", wants)
	}

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

// All that is sent and written goes the way that was given, also by those who are
// beside another one.
func TestWays(t *testing.T) {
	a, b := pair(t)
	var tunA, tunB fakeTUN
	var udpA fakeUDP
	a.connect(&tunA, &udpA)
	b.connect(&tunB, &b.udp)
	for _, e := range []*Encapsulator{a.enc, a.enc.Beside()} {
		e.Encapsulate(start, [][]byte{frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, netip.MustParseAddr("10.9.9.9"), 64))})
	}
	sent := udpA.take()
	for i, d := range []*Decapsulator{b.dec, b.dec.Beside()} {
		d.Receive(start, sent[i:i+1])
	}
	if len(sent) != 2 || len(a.udp.take()) != 0 || len(tunA.take()) == 0 || len(a.tun.take()) != 0 || len(tunB.take()) != 2 || len(b.tun.take()) != 0 {
		t.Error("not through the ways that were given")
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
