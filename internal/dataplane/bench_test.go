package dataplane

import (
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// directUDP hands each train to the other side at once, without copying it.
type directUDP struct {
	from wire.Endpoint
	to   *side
	one  [1]batch.Batch
}

func (s *directUDP) Send(b *batch.Batch) error {
	s.one[0] = *b
	s.one[0].Remote = s.from
	s.to.dec.Decapsulate(s.to.opening, start, s.one[:])
	return nil
}

func (s *directUDP) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

// BenchmarkBothPaths moves packets from the interface of one side to that of the
// other without system calls. With -tags nullaead it measures only the
// bookkeeping, the copy and the checksums.
func BenchmarkBothPaths(b *testing.B) {
	for name, frames := range map[string][][]byte{
		"super-packet": {tcpSuper(1, pattern(45*1368), 1368)},
		"64 of 64":     small(64),
		"one of 64":    small(1),
	} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b)
			packets := len(frames)
			if packets == 1 && len(frames[0]) > 1500 {
				packets = 45
			}
			benchmarkBothPaths(b, x, y, frames, packets)
		})
	}
	for name, size := range map[string]int{"32 peers 100": 100, "32 peers 1420": 1420} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b)
			var frames [][]byte
			for i := range byte(32) {
				frames = append(frames, frame(udpPacket(linkPeers(x, y, i), netip.AddrFrom4([4]byte{10, 2, 0, i}), size)))
			}
			benchmarkBothPaths(b, x, y, frames, len(frames))
		})
	}
}

func benchmarkBothPaths(b *testing.B, x, y *side, frames [][]byte, packets int) {
	y.connect(&silentTUN{}, &silentUDP{})
	x.connect(&silentTUN{}, &directUDP{from: x.at, to: y})
	for b.Loop() {
		x.enc.Encapsulate(x.sealing, start, frames)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	for d := range drops {
		if n := y.Drops.Count(d) + x.Drops.Count(d); n > 0 {
			b.Fatalf("%d packets dropped for %v", n, d)
		}
	}
}
