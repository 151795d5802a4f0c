package clock

import (
	"testing"
	"time"
)

// world is a machine with three clocks.
type world struct {
	wall, mono, boot int64
	asked            int
}

func (w *world) pass(d time.Duration) { w.wall += int64(d); w.mono += int64(d); w.boot += int64(d) }

// sleep is suspend: CLOCK_MONOTONIC stands still.
func (w *world) sleep(d time.Duration) { w.wall += int64(d); w.boot += int64(d) }

func newWorld() (*world, *asleep) {
	w := &world{wall: int64(1e18), mono: 77, boot: int64(time.Hour)}
	return w, &asleep{ask: func() int64 { w.asked++; return w.boot }}
}

// A39: time spent asleep counts at the first look after it, whatever was done
// to the wall clock before; and nothing makes the clock go back.
func TestSuspendCountsAtOnce(t *testing.T) {
	w, a := newWorld()
	before := a.at(w.wall, w.mono)
	for _, change := range []func(){
		func() { w.pass(time.Millisecond) },
		func() { w.sleep(time.Second) },
		func() { w.sleep(3 * time.Minute) },
		func() { w.wall += int64(time.Hour) }, // set forward
		func() { w.sleep(50 * time.Millisecond) },
		func() { w.wall -= int64(24 * time.Hour) },
		func() { w.sleep(30 * time.Hour); w.pass(time.Microsecond) },
		func() { w.pass(5 * time.Second) },
	} {
		change()
		if got := a.at(w.wall, w.mono); got != w.boot || got < before {
			t.Fatalf("%d, but CLOCK_BOOTTIME is %d", got, w.boot)
		}
		before = a.at(w.wall, w.mono)
	}
}

// A wall clock that is set back by just the time of the sleep hides it, but not
// for longer than a second.
func TestHiddenSuspendCountsWithinASecond(t *testing.T) {
	w, a := newWorld()
	a.at(w.wall, w.mono)
	w.sleep(time.Minute)
	w.wall -= int64(time.Minute)
	w.pass(time.Second)
	if got := a.at(w.wall, w.mono); got != w.boot {
		t.Fatalf("%d, but CLOCK_BOOTTIME is %d", got, w.boot)
	}
}

// The kernel is asked about once a second; and that asking takes a while does
// not move the clock.
func TestKernelIsAskedSeldom(t *testing.T) {
	w, a := newWorld()
	a.ask = func() int64 { w.asked++; return w.boot + int64(w.asked)*700 }
	last := int64(0)
	for range 100_000 {
		w.pass(100 * time.Microsecond)
		now := a.at(w.wall, w.mono)
		if last != 0 && now-last != int64(100*time.Microsecond) {
			t.Fatalf("a step of %v", time.Duration(now-last))
		}
		last = now
	}
	if w.asked < 9 || w.asked > 12 {
		t.Errorf("asked %d times in 10 seconds", w.asked)
	}
}

// Whoever is interrupted between looking at one clock and at the other sees a
// distance that is too great; the next one to look must not go back.
func TestInterruptedAskingDoesNotGoBack(t *testing.T) {
	w, a := newWorld()
	a.ask = func() int64 {
		w.asked++
		if w.asked == 2 {
			return w.boot + int64(300*time.Millisecond)
		}
		return w.boot
	}
	last := a.at(w.wall, w.mono)
	for range 100 {
		w.pass(100 * time.Millisecond)
		now := a.at(w.wall, w.mono)
		if now < last {
			t.Fatalf("back by %v", time.Duration(last-now))
		}
		last = now
	}
}

func TestMonotonicIsBoottime(t *testing.T) {
	for range 1000 {
		before := askKernel()
		got := int64(Now().Mono)
		if after := askKernel(); got < before-sideBySide || got > after+sideBySide {
			t.Fatalf("%d is not between %d and %d", got, before, after)
		}
	}
}
