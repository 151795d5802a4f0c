package x25519

import (
	"crypto/ecdh"
	"fmt"
	"testing"
	"time"
)

// BenchmarkMultiply reports how long one product takes, in the best of many short
// runs, so that other load on the machine hardly matters, and how long one of
// crypto/ecdh with a key that exists already.
func BenchmarkMultiply(b *testing.B) {
	list := make([]*Product, 16)
	for i := range list {
		s := &Scalar{bytes: [Size]byte{byte(i), 9, 8, 7}}
		list[i] = &Product{Scalar: s, Point: &[Size]byte{byte(i + 2), 3}, Product: new([Size]byte)}
		if err := s.Keep(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("ecdh", func(b *testing.B) {
		private, _ := ecdh.X25519().NewPrivateKey(list[1].Scalar.bytes[:])
		public, _ := ecdh.X25519().NewPublicKey(list[1].Point[:])
		reportBest(b, 1, func() { private.ECDH(public) })
	})
	for _, count := range []int{1, 2, 3, 4, 5, 8, 16} {
		for _, k := range kernels {
			if k.supported() {
				k.minMultiplications = 1
				b.Run(fmt.Sprintf("%d/%s", count, k.name), func(b *testing.B) {
					reportBest(b, count, func() { k.multiply(list[:count]) })
				})
			}
		}
	}
}

func reportBest(b *testing.B, count int, run func()) {
	best := time.Hour
	for b.Loop() {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(best.Nanoseconds())/float64(count), "ns/product")
}
