package dataplane

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/packet"
	"wgd/internal/peer"
)

// No train causes a panic, and datagrams that are not authentic change nothing
// (A4, A7, B1).
func FuzzReceive(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{1}, 1)
	f.Add(append([]byte{4, 0, 0, 0, 4, 3, 2, 1}, make([]byte, 24)...), 32)
	f.Add(bytes.Repeat(append([]byte{4, 0, 0, 0, 4, 3, 2, 1}, make([]byte, 25)...), 40), 33)
	f.Add(append([]byte{2, 0, 0, 0}, make([]byte, 88)...), 92)
	f.Fuzz(func(t *testing.T, data []byte, stride int) {
		a, b := pair(t)
		if len(data) > 0 && stride <= 0 {
			stride = len(data)
		}
		data = data[:min(len(data), 65535)]
		at := b.peer.Endpoint()
		b.receive(batch.Batch{Data: bytes.Clone(data), Stride: stride})
		if b.peer.Endpoint() != at || b.peer.LastReceived() != 0 || len(b.tun.frames) != 0 {
			t.Fatal("unauthentic data changed the peer or was delivered")
		}
		a.send(start, frame(udpPacket(addrA, addrB, 64)))
		transfer(start, a, b)
		if len(b.tun.take()) != 1 {
			t.Fatal("the tunnel no longer works afterwards")
		}
	})
}

// Whatever a peer sends inside the tunnel, only whole IP packets from its own
// addresses reach the interface (A47, A49).
func FuzzInner(f *testing.F) {
	f.Add(udpPacket(addrA, addrB, 64), byte(0))
	f.Add(udpPacket(addrA6, addrB6, 80), byte(3))
	f.Add([]byte{0x45}, byte(0))
	f.Add(make([]byte, 16), byte(0))
	f.Fuzz(func(t *testing.T, inner []byte, ecn byte) {
		a, b := pair(t)
		inner = inner[:min(len(inner), 65000)]
		k := a.peer.Sessions().Current
		b.receive(seal(k, a.at, ecn&3, inner), seal(k, a.at, ecn&3, inner))
		for _, got := range b.tun.take() {
			p := got[packet.VirtioHeaderSize:]
			n, ok := packet.Length(p)
			if !ok || n != len(p) {
				t.Fatalf("the interface got %x, want a whole packet", got)
			}
			if from := packet.Source(p); from != addrA && from != addrA6 {
				t.Fatalf("the interface got a packet from %v", from)
			}
		}
	})
}

// No frame of the interface causes a panic, and only well-formed trains that the
// other end can open are sent.
func FuzzEncapsulate(f *testing.F) {
	f.Add(frame(udpPacket(addrA, addrB, 64)), 1420)
	f.Add(tcpSuper(1, pattern(3000), 1000), 1420)
	f.Add(tcpSuper(1, pattern(500), 7), 0)
	f.Add(frame(nil), 1)
	f.Fuzz(func(t *testing.T, raw []byte, mtu int) {
		a, b := pair(t)
		a.route(a.peer, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
		a.MTU.Store(int32(mtu & 0xffff))
		raw = raw[:min(len(raw), packet.VirtioHeaderSize+65535)]
		a.send(start, raw, raw)
		for _, train := range a.udp.trains {
			for i := range train.Count() {
				if n := len(train.At(i)); n < 32 || n > batch.MaxDatagram4 {
					t.Fatalf("a datagram has %d bytes, want 32 to %d", n, batch.MaxDatagram4)
				}
			}
		}
		transfer(start, a, b)
		if b.Drops.Count(DropForged)+b.Drops.Count(DropNotAMessage)+b.Drops.Count(DropReplay) != 0 {
			t.Fatal("the other end could not open a datagram")
		}
	})
}

// Readers, the flusher and core run concurrently: no packet is lost, duplicated
// or reordered, whatever core publishes meanwhile (A43, B25, B47). Run this with
// -race.
func TestConcurrentFlush(t *testing.T) {
	a, b := pair(t)
	const packets = 3000
	var wg sync.WaitGroup
	wg.Go(func() { // the interface's reader
		for i := range packets {
			a.send(start, frame(udpPacket(addrA, addrB, 64, byte(i>>8), byte(i))))
		}
	})
	k := a.peer.Sessions().Current
	flusher := NewEncapsulator(a.Shared, &a.tun, &a.udp)
	job := flusher.NewJob()
	wg.Go(func() { // core publishes and withdraws the session
		for i := range 2000 {
			if i%2 == 0 {
				a.peer.SetSessions(&peer.Sessions{Current: k})
				flusher.Flush(job, start, a.peer)
				flusher.Keepalive(job, start, a.peer)
			} else {
				a.peer.SetSessions(&peer.Sessions{Next: k})
			}
			a.peer.SetEndpoint(b.at)
		}
		a.peer.SetSessions(&peer.Sessions{Current: k})
	})
	wg.Wait()
	flusher.Flush(job, start, a.peer)
	transfer(start, a, b)
	// Packets beyond the limit of the staging queue are dropped, oldest first.
	last, n := -1, 0
	for _, f := range b.tun.take() {
		for _, p := range splitAll(f) {
			seq := int(p[len(p)-2])<<8 | int(p[len(p)-1])
			if seq <= last {
				t.Fatalf("packet %d arrived after %d", seq, last)
			}
			last = seq
			n++
		}
	}
	if lost := int(a.Drops.Count(DropStaged)); n+lost != packets || last != packets-1 {
		t.Errorf("%d packets arrived and %d were dropped, of %d", n, lost, packets)
	}
	b.wantDrops(nil)
}

func splitAll(f []byte) (list [][]byte) {
	var s packet.Segments
	s.Reset(f)
	for n := s.Next(); n > 0; n = s.Next() {
		p := make([]byte, n)
		s.Put(p)
		list = append(list, p)
	}
	return list
}
