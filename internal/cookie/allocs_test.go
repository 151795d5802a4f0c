//go:build !race

package cookie

import (
	"net/netip"
	"testing"
)

// A flood must not create garbage: dropping a message, or admitting it without
// load, allocates nothing. Nor does the limiter allocate for a known source.
func TestGateAllocatesNothing(t *testing.T) {
	g := NewGate(owner, random())
	m := NewMaker(owner)
	good := initiation(m, start)
	bad := initiation(m, start)
	bad[len(bad)-20] ^= 1
	var l Limiter
	l.Allow(start, source1)
	for name, f := range map[string]func(){
		"malformed":    func() { g.judge(start, here, good[1:], 0, capacity) },
		"wrong mac1":   func() { g.judge(start, here, bad, 0, capacity) },
		"admitted":     func() { g.judge(start, here, good, 0, capacity) },
		"known source": func() { l.Allow(start, source1) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// BenchmarkGate measures the cost of each message of a flood.
func BenchmarkGate(b *testing.B) {
	m := NewMaker(owner)
	good := initiation(m, start)
	bad := initiation(m, start)
	bad[len(bad)-20] ^= 1
	g := NewGate(owner, random())
	b.Run("WrongMAC1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.judge(start, here, bad, heavy, capacity)
		}
	})
	b.Run("CookieReply", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.judge(start, here, good, heavy, capacity)
		}
	})
	b.Run("Limiter", func(b *testing.B) {
		b.ReportAllocs()
		var l Limiter
		now := start
		for i := 0; b.Loop(); i++ {
			now++
			l.Allow(now, netip.AddrFrom4([4]byte{1, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
	})
}
