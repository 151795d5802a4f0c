package clock

import (
	"testing"
	"time"
)

func TestNow(t *testing.T) { // A39
	a := Now()
	time.Sleep(5 * time.Millisecond)
	b := Now()
	if a.Mono <= 0 || b.Mono.Sub(a.Mono) < 5*time.Millisecond || b.Mono.Sub(a.Mono) > 5*time.Second {
		t.Fatalf("5 ms of sleep between %v and %v on the monotonic clock", a.Mono, b.Mono)
	}
	if d := time.Since(b.Wall); d < 0 || d > time.Second {
		t.Fatalf("the wall clock is %v behind time.Now", d)
	}
	if testing.AllocsPerRun(100, func() { Now() }) != 0 {
		t.Fatal("Now allocates")
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
