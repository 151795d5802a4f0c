package clock

import (
	"math/rand/v2"
	"testing"
	"time"
)

// fakeClocks are the clocks of a simulated machine.
type fakeClocks struct {
	wall, mono, boot int64
	reads            int
}

func (w *fakeClocks) advance(d time.Duration) {
	w.wall += int64(d)
	w.mono += int64(d)
	w.boot += int64(d)
}

// suspend advances all clocks but CLOCK_MONOTONIC.
func (w *fakeClocks) suspend(d time.Duration) { w.wall += int64(d); w.boot += int64(d) }

func newFakeClocks() (*fakeClocks, *bootClock) {
	w := &fakeClocks{wall: int64(1e18), mono: 77, boot: int64(time.Hour)}
	return w, &bootClock{boot: func() int64 { w.reads++; return w.boot }, mono: func() int64 { return w.mono }}
}

// A39: the first reading after a suspend includes it, whatever happened to the wall
// clock before; and the clock never goes back.
func TestSuspendCountsAtOnce(t *testing.T) {
	w, a := newFakeClocks()
	before := a.at(w.wall, w.mono)
	for _, change := range []func(){
		func() { w.advance(time.Millisecond) },
		func() { w.suspend(time.Second) },
		func() { w.suspend(3 * time.Minute) },
		func() { w.wall += int64(time.Hour) }, // set forward
		func() { w.suspend(50 * time.Millisecond) },
		func() { w.wall -= int64(24 * time.Hour) },
		func() { w.suspend(30 * time.Hour); w.advance(time.Microsecond) },
		func() { w.advance(5 * time.Second) },
	} {
		change()
		if got := a.at(w.wall, w.mono); got != w.boot || got < before {
			t.Fatalf("the clock is at %d after %d, but CLOCK_BOOTTIME is at %d", got, before, w.boot)
		}
		before = a.at(w.wall, w.mono)
	}
}

// A wall clock that is set back by exactly the time of the suspend hides it, but for
// one second at most.
func TestHiddenSuspendCountsWithinASecond(t *testing.T) {
	w, a := newFakeClocks()
	a.at(w.wall, w.mono)
	w.suspend(time.Minute)
	w.wall -= int64(time.Minute)
	w.advance(time.Second)
	if got := a.at(w.wall, w.mono); got != w.boot {
		t.Fatalf("the clock is at %d, but CLOCK_BOOTTIME is at %d", got, w.boot)
	}
}

// CLOCK_BOOTTIME is read about once a second, and the time that this takes does not
// move the clock.
func TestBoottimeIsReadOncePerSecond(t *testing.T) {
	w, a := newFakeClocks()
	a.boot = func() int64 { w.reads++; return w.boot - int64(w.reads%5)*700 }
	last := int64(0)
	for range 100_000 {
		w.advance(100 * time.Microsecond)
		now := a.at(w.wall, w.mono)
		if last != 0 && now-last != int64(100*time.Microsecond) {
			t.Fatalf("a step of %v, want 100µs", time.Duration(now-last))
		}
		last = now
	}
	if w.reads < 9*readings || w.reads > 12*readings {
		t.Errorf("CLOCK_BOOTTIME was read %d times in 10 seconds, want about 10 times %d", w.reads, readings)
	}
}

// A goroutine that is interrupted between reading one clock and another does not
// mistake the pause for suspend, however often that happens. A real suspend counts
// nevertheless, within a second without interruptions. The clock never goes back.
func TestPauseIsNotSuspend(t *testing.T) {
	const seed = 4
	dice := rand.New(rand.NewPCG(seed, seed))
	w, a := newFakeClocks()
	undisturbed := false
	pause := func() {
		if !undisturbed && dice.IntN(3) == 0 {
			w.advance(time.Duration(dice.Int64N(int64(300 * time.Millisecond))))
		}
	}
	a.boot = func() int64 { defer pause(); pause(); return w.boot }
	a.mono = func() int64 { defer pause(); pause(); return w.mono }
	read := func() int64 { // as Now does
		wall := w.wall
		pause()
		mono := w.mono
		pause()
		return a.at(wall, mono)
	}
	last := read()
	for i := range 20_000 {
		w.advance(time.Duration(dice.Int64N(int64(100 * time.Millisecond))))
		if dice.IntN(100) == 0 {
			w.suspend(time.Duration(dice.Int64N(int64(time.Second))))
		}
		now := read()
		if now > w.boot || now < last {
			t.Fatalf("reading %d: a step of %v, to %v after CLOCK_BOOTTIME", i, time.Duration(now-last), time.Duration(now-w.boot))
		}
		last = now
		if i%100 == 0 {
			undisturbed = true
			w.advance(time.Second)
			if now := read(); now < w.boot-tolerance {
				t.Fatalf("reading %d: without interruptions the clock is %v late", i, time.Duration(w.boot-now))
			}
			undisturbed = false
		}
	}
}

// A pause does not make the clock late if one pair of readings has none.
func TestOneGoodPairIsEnough(t *testing.T) {
	for good := range 3 {
		w, a := newFakeClocks()
		a.boot = func() int64 {
			boot := w.boot
			if w.reads++; w.reads%readings != good {
				w.advance(100 * time.Millisecond)
			}
			return boot
		}
		before := w.boot
		if got := a.at(w.wall, w.mono); got != before {
			t.Errorf("pair %d has no pause, but the clock begins %v late", good, time.Duration(before-got))
		}
		w.suspend(time.Minute)
		before = w.boot
		if got := a.at(w.wall, w.mono); got != before {
			t.Errorf("pair %d has no pause, but a suspend of a minute is %v too short", good, time.Duration(before-got))
		}
	}
}

// Two goroutines check at once. The one that read the clocks before a suspend and
// finishes after it does not undo the result of the other.
func TestConcurrentChecks(t *testing.T) {
	w, a := newFakeClocks()
	a.at(w.wall, w.mono)
	w.wall += int64(time.Hour) // so that both have something to store
	other := int64(0)
	a.mono = func() int64 {
		mono := w.mono
		if w.reads == 2*readings { // the last reading of the second check
			w.suspend(time.Hour)
			w.wall -= int64(time.Hour) // or the suspend would make the next one check again
			other = a.at(w.wall, w.mono)
		}
		return mono
	}
	mine := a.at(w.wall, w.mono)
	if last := a.at(w.wall, w.mono); other != w.boot || last < other || mine > w.boot {
		t.Errorf("%d, then %d and %d; CLOCK_BOOTTIME is %d", other, mine, last, w.boot)
	}
}

func TestMonotonicIsBoottime(t *testing.T) {
	for range 1000 {
		before := bootTime()
		got := int64(Now().Mono)
		if after := bootTime(); got < before-tolerance || got > after {
			t.Fatalf("%d is not between %d and %d", got, before, after)
		}
	}
}
