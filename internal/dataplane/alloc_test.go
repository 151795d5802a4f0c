//go:build !race

package dataplane

import (
	"bytes"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/peer"
)

// Rule 10 of style: the send path and the receive path allocate nothing.
func TestNothingAllocated(t *testing.T) {
	a, b := manyPeers(t, 40)
	var many [][]byte
	for i := range byte(40) {
		many = append(many, frameTo(i, 200))
	}
	kinds := map[string][][]byte{
		"many peers":    many,
		"super-packet":  {tcpSuper(1, pattern(61500), 1380)},
		"many segments": {tcpSuper(1, pattern(60000), 100)},
		"small packets": small(64),
		"no peer":       {frame(udpPacket(addrA, addrA, 64))},
		"two lengths":   {frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, addrB, 99))},
	}
	for name, frames := range kinds {
		a.connect(&a.tun, &a.udp)
		var reads [][]batch.Batch
		now := start
		for range 60 {
			a.send(now, frames...)
			reads = append(reads, a.udp.take())
		}
		a.connect(&silentTUN{}, &silentUDP{})
		b.connect(&silentTUN{}, &silentUDP{})
		if n := testing.AllocsPerRun(50, func() {
			now = now.Add(1)
			a.enc.Encapsulate(a.sealing, now, frames)
			a.enc.Keepalive(a.sealing, now, a.peer)
		}); n != 0 {
			t.Errorf("%s: Encapsulate: %v allocations, want 0", name, n)
		}
		i := 0
		if n := testing.AllocsPerRun(50, func() {
			for j := range reads[i] {
				reads[i][j].Remote = a.at
			}
			b.dec.Decapsulate(b.opening, now, reads[i])
			i++
		}); n != 0 {
			t.Errorf("%s: Decapsulate: %v allocations, want 0", name, n)
		}
	}
	if b.Drops.Count(DropForged)+b.Drops.Count(DropReplay) != 0 {
		t.Error("the measured packets were forged or replayed")
	}
}

// Captures allocate nothing on these paths either, neither for the packets that they
// contain nor for those of others.
func TestCaptureAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	end := []func() captured{a.capture(a.peer), a.capture(peer.New(a.common)), b.capture(nil)}
	for _, frames := range [][][]byte{{tcpSuper(1, pattern(9000), 1380)}, small(8)} {
		a.connect(&a.tun, &a.udp)
		var reads [][]batch.Batch
		for range 60 {
			a.send(start, frames...)
			reads = append(reads, a.udp.take())
		}
		a.connect(&silentTUN{}, &silentUDP{})
		b.connect(&silentTUN{}, &silentUDP{})
		if n := testing.AllocsPerRun(50, func() { a.enc.Encapsulate(a.sealing, start, frames) }); n != 0 {
			t.Errorf("Encapsulate: %v allocations, want 0", n)
		}
		i := 0
		if n := testing.AllocsPerRun(50, func() { b.dec.Decapsulate(b.opening, start, reads[i]); i++ }); n != 0 {
			t.Errorf("Decapsulate: %v allocations, want 0", n)
		}
	}
	for i, end := range end {
		c := end()
		if n, want := len(c.inner[0])+len(c.inner[1]), i != 1; (n > 500) != want || c.dropped > 0 {
			t.Errorf("%d packets in capture %d, %d dropped", n, i, c.dropped)
		}
	}
}

func BenchmarkEncapsulate64K(b *testing.B) {
	benchmarkBoth(b, benchmarkOut, tcpSuper(1, pattern(60720), 1380))
}
func BenchmarkDecapsulate64K(b *testing.B) {
	benchmarkBoth(b, benchmarkIn, tcpSuper(1, pattern(60720), 1380))
}
func BenchmarkEncapsulateSmall(b *testing.B) { benchmarkBoth(b, benchmarkOut, small(64)...) }
func BenchmarkDecapsulateSmall(b *testing.B) { benchmarkBoth(b, benchmarkIn, small(64)...) }

// benchmarkBoth measures without a capture, and while another peer is captured.
func benchmarkBoth(b *testing.B, f func(b *testing.B, prepare func(*side), frames ...[]byte), frames ...[]byte) {
	b.Run("alone", func(b *testing.B) { f(b, func(*side) {}, frames...) })
	b.Run("beside a capture", func(b *testing.B) { f(b, func(s *side) { s.capture(peer.New(s.common)) }, frames...) })
}

func benchmarkOut(b *testing.B, prepare func(*side), frames ...[]byte) {
	x, _ := pair(b)
	prepare(x)
	x.connect(&silentTUN{}, &silentUDP{})
	b.SetBytes(int64(len(bytes.Join(frames, nil))))
	b.ReportAllocs()
	for b.Loop() {
		x.enc.Encapsulate(x.sealing, start, frames)
	}
}

// benchmarkIn opens the same trains repeatedly. Before each iteration, outside
// the measured time, it restores the trains and gives the receiver a new
// session, so that they are not replays.
func benchmarkIn(b *testing.B, prepare func(*side), frames ...[]byte) {
	x, y := pair(b)
	prepare(y)
	y.connect(&silentTUN{}, &silentUDP{})
	x.send(start, frames...)
	sealed := x.udp.take()
	bs := make([]batch.Batch, len(sealed))
	for i := range sealed {
		bs[i] = copyOf(sealed[i])
		bs[i].Remote = x.at
	}
	b.SetBytes(int64(len(bytes.Join(frames, nil))))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		for i := range bs {
			copy(bs[i].Data, sealed[i].Data)
		}
		_, k := keypairs(clock.Time(start))
		y.current(k)
		b.StartTimer()
		y.dec.Decapsulate(y.opening, start, bs)
	}
}
