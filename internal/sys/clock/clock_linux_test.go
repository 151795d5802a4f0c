package clock

import (
	"math/rand/v2"
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
	return w, &asleep{boot: func() int64 { w.asked++; return w.boot }, mono: func() int64 { return w.mono }}
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
	a.boot = func() int64 { w.asked++; return w.boot - int64(w.asked%5)*700 }
	last := int64(0)
	for range 100_000 {
		w.pass(100 * time.Microsecond)
		now := a.at(w.wall, w.mono)
		if last != 0 && now-last != int64(100*time.Microsecond) {
			t.Fatalf("a step of %v", time.Duration(now-last))
		}
		last = now
	}
	if w.asked < 9*readings || w.asked > 12*readings {
		t.Errorf("asked %d times in 10 seconds", w.asked)
	}
}

// Whoever is interrupted between looking at one clock and at another takes no
// pause for suspend, however often; what has slept counts all the same, within a
// second of peace; and the clock never goes back.
func TestPauseIsNoSuspend(t *testing.T) {
	const seed = 4
	dice := rand.New(rand.NewPCG(seed, seed))
	w, a := newWorld()
	peace := false
	pause := func() {
		if !peace && dice.IntN(3) == 0 {
			w.pass(time.Duration(dice.Int64N(int64(300 * time.Millisecond))))
		}
	}
	a.boot = func() int64 { defer pause(); pause(); return w.boot }
	a.mono = func() int64 { defer pause(); pause(); return w.mono }
	look := func() int64 { // as Now does
		wall := w.wall
		pause()
		mono := w.mono
		pause()
		return a.at(wall, mono)
	}
	last := look()
	for i := range 20_000 {
		w.pass(time.Duration(dice.Int64N(int64(100 * time.Millisecond))))
		if dice.IntN(100) == 0 {
			w.sleep(time.Duration(dice.Int64N(int64(time.Second))))
		}
		now := look()
		if now > w.boot || now < last {
			t.Fatalf("look %d: a step of %v, to %v after CLOCK_BOOTTIME", i, time.Duration(now-last), time.Duration(now-w.boot))
		}
		last = now
		if i%100 == 0 {
			peace = true
			w.pass(time.Second)
			if now := look(); now < w.boot-sideBySide {
				t.Fatalf("look %d: in peace the clock is %v late", i, time.Duration(w.boot-now))
			}
			peace = false
		}
	}
}

// A pause does not even make the clock late, if one pair of readings has none.
func TestOneGoodPairIsEnough(t *testing.T) {
	for good := range 3 {
		w, a := newWorld()
		a.boot = func() int64 {
			boot := w.boot
			if w.asked++; w.asked%readings != good {
				w.pass(100 * time.Millisecond)
			}
			return boot
		}
		before := w.boot
		if got := a.at(w.wall, w.mono); got != before {
			t.Errorf("pair %d is good, and the clock begins %v late", good, time.Duration(before-got))
		}
		w.sleep(time.Minute)
		before = w.boot
		if got := a.at(w.wall, w.mono); got != before {
			t.Errorf("pair %d is good, and a minute of sleep is %v too short", good, time.Duration(before-got))
		}
	}
}

// Of two that check at once, the one who looked before a suspend and is heard
// after it does not undo what the other saw.
func TestTwoCheckAtOnce(t *testing.T) {
	w, a := newWorld()
	a.at(w.wall, w.mono)
	w.wall += int64(time.Hour) // so that both have something to write down
	other := int64(0)
	a.mono = func() int64 {
		mono := w.mono
		if w.asked == 2*readings { // the last reading of the second check
			w.sleep(time.Hour)
			w.wall -= int64(time.Hour) // or that would have the next one check again
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
		if after := bootTime(); got < before-sideBySide || got > after {
			t.Fatalf("%d is not between %d and %d", got, before, after)
		}
	}
}
