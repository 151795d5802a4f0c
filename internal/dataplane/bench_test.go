package dataplane

import (
	"testing"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// straight hands what one side sends to the other at once, where it lies.
type straight struct {
	from wire.Endpoint
	to   *Decapsulator
	one  [1]batch.Batch
}

func (s *straight) Send(b *batch.Batch) error {
	s.one[0] = *b
	s.one[0].Remote = s.from
	s.to.Receive(start, s.one[:])
	return nil
}

// BenchmarkThrough takes packets from the interface of one side to that of the
// other without a system call. With -tags nullaead only the bookkeeping, the
// copy and the checksums are left.
func BenchmarkThrough(b *testing.B) {
	for name, frames := range map[string][][]byte{
		"super-packet": {tcpSuper(1, pattern(45*1368), 1368)},
		"64 of 64":     small(64),
		"one of 64":    small(1),
	} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b)
			x.UDP, y.TUN = &straight{from: x.at, to: y.dec}, &silentTUN{}
			packets := len(frames)
			if packets == 1 && len(frames[0]) > 1500 {
				packets = 45
			}
			for b.Loop() {
				x.enc.Encapsulate(start, frames)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
			for d := range drops {
				if n := y.Drops.Count(d) + x.Drops.Count(d); n > 0 {
					b.Fatalf("%d dropped for %v", n, d)
				}
			}
		})
	}
}
