package aead

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// eachKernel runs a test with every kernel that this processor supports, for
// groups of any size, and with x/crypto alone.
func eachKernel(t *testing.T, test func(*testing.T)) {
	before := chosen
	defer func() { chosen = before }()
	for _, k := range append([]kernel{{name: "x-crypto"}}, kernels...) {
		if k.run != nil && !k.supported() {
			t.Logf("this processor does not support the kernel %s", k.name)
			continue
		}
		k.minPackets = 1
		chosen = k
		t.Run(k.name, test)
	}
}

// BenchmarkKernels reports ns per packet in the best of many short runs, so
// that other load on the machine hardly matters.
func BenchmarkKernels(b *testing.B) {
	defer func(before kernel) { chosen = before }(chosen)
	for _, length := range []int{48, 64, 96, 192, 512, 1420} {
		for _, count := range []int{1, 2, 3, 4, 8, 16, 45} {
			for _, k := range append([]kernel{{name: "x-crypto"}}, kernels...) {
				if k.run != nil && !k.supported() {
					continue
				}
				k.minPackets = 1
				b.Run(fmt.Sprintf("%dx%d/%s", count, length, k.name), func(b *testing.B) {
					chosen = k
					benchmarkKernel(b, count, length)
				})
			}
		}
	}
}

func benchmarkKernel(b *testing.B, count, length int) {
	k := newKey([KeySize]byte{1})
	buf, packets := layOut(slices.Repeat([][]byte{make([]byte, length)}, count)...)
	work := make([]byte, len(buf))
	rounds := max(1, 20_000/(count*(length/2+100)))
	var seal, open time.Duration = time.Hour, time.Hour
	for b.Loop() {
		start := time.Now()
		for range rounds {
			k.Seal(buf, packets, 1)
		}
		seal = min(seal, time.Since(start))
		copy(work, buf)
		start = time.Now()
		if k.Open(work, packets) != 0 {
			b.Fatal("a sealed packet does not open")
		}
		open = min(open, time.Since(start))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(seal.Nanoseconds())/float64(rounds*count), "ns/sealed")
	b.ReportMetric(float64(open.Nanoseconds())/float64(count), "ns/opened")
}

// BenchmarkKeys reports ns per packet of eight packets with one key, and with a
// key and a buffer each, in the best of many short runs.
func BenchmarkKeys(b *testing.B) {
	for _, length := range []int{100, 1420} {
		for _, kern := range append([]kernel{{name: "x-crypto"}}, kernels...) {
			if kern.run != nil && !kern.supported() {
				continue
			}
			for _, keys := range []int{1, maxLanes} {
				b.Run(fmt.Sprintf("%dx%d/%s/%d keys", maxLanes, length, kern.name, keys), func(b *testing.B) {
					benchmarkKeys(b, &kern, length, keys)
				})
			}
		}
	}
}

func benchmarkKeys(b *testing.B, kern *kernel, length, keys int) {
	var parts []Part
	for i := range keys {
		buf, packets := layOut(slices.Repeat([][]byte{make([]byte, length)}, maxLanes/keys)...)
		parts = append(parts, Part{newKey([KeySize]byte{byte(i)}), buf, packets})
	}
	rounds := 40_000 / (maxLanes * (length/2 + 100))
	var seal, both time.Duration = time.Hour, time.Hour
	for b.Loop() {
		start := time.Now()
		for range rounds {
			process(kern, parts, false)
		}
		seal = min(seal, time.Since(start))
		start = time.Now()
		for range rounds {
			process(kern, parts, false)
			if process(kern, parts, true) != 0 {
				b.Fatal("a sealed packet does not open")
			}
		}
		both = min(both, time.Since(start))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(seal.Nanoseconds())/float64(rounds*maxLanes), "ns/sealed")
	b.ReportMetric(float64((both-seal).Nanoseconds())/float64(rounds*maxLanes), "ns/opened")
}
