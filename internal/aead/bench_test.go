package aead

import (
	"fmt"
	"testing"
)

func BenchmarkSeal(b *testing.B) { benchmark(b, (*Key).Seal) }

func BenchmarkSealAndOpen(b *testing.B) {
	benchmark(b, func(k *Key, buf []byte, packets []Packet, first uint64) {
		k.Seal(buf, packets, first)
		if k.Open(buf, packets) != 0 {
			b.Fatal("a sealed packet does not open")
		}
	})
}

func benchmark(b *testing.B, run func(*Key, []byte, []Packet, uint64)) {
	for _, length := range []int{48, 96, 1420} {
		for _, count := range []int{1, 8, 45} {
			b.Run(fmt.Sprintf("%dx%d", count, length), func(b *testing.B) {
				k := newKey([KeySize]byte{1})
				buf := make([]byte, count*(length+MinSize))
				var packets []Packet
				for i := range count {
					packets = append(packets, Packet{int32(i * (length + MinSize)), int32(length + MinSize)})
				}
				b.SetBytes(int64(count * length))
				for first := uint64(0); b.Loop(); first += uint64(count) {
					run(k, buf, packets, first)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/packet")
			})
		}
	}
}
