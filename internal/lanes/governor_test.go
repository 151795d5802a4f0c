package lanes

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
	"wgd/internal/sys/yield"
)

// garage has a gear and drives it without its goroutine.
type garage struct {
	gear    *gear
	now     clock.Time
	all     bool
	shifts  int
	own     float64 // cores that the process uses
	idle    float64
	used    cpu.Times
	failing error
}

func newGarage() *garage {
	g := &garage{now: clock.Time(time.Hour), all: true}
	g.gear = newGear(
		func(all bool) { g.all, g.shifts = all, g.shifts+1 },
		func() clock.Now { return clock.Now{Mono: g.now} },
		func() (cpu.Times, error) { return g.used, g.failing },
	)
	return g
}

// drive lets data flow for so long.
func (g *garage) drive(d time.Duration) {
	for end := g.now.Add(d); g.now < end; g.answer() {
		const step = time.Millisecond
		g.now = g.now.Add(step)
		g.used.Own += time.Duration(g.own * float64(step))
		g.used.Idle += time.Duration(g.idle * float64(step))
		g.gear.carried(g.now)
	}
}

func (g *garage) answer() {
	select {
	case <-g.gear.lever:
		g.gear.pulled(g.now)
	default:
	}
}

func TestOneProcessorSuffices(t *testing.T) {
	g := newGarage()
	if g.drive(holdForLoad / 2); !g.all || g.shifts > 0 {
		t.Error("one processor right after the beginning")
	}
	if g.drive(holdForLoad); g.all || g.shifts != 1 {
		t.Errorf("all processors: %v, after %d shifts, beside a little data", g.all, g.shifts)
	}
	g.gear.need(g.now, holdForChange)
	g.answer()
	if !g.all {
		t.Error("one processor, though all are needed")
	}
	g.gear.need(g.now, holdForChange/2) // which is no reason to be earlier
	g.now = g.now.Add(holdForChange * 3 / 4)
	g.gear.pull()
	if g.answer(); !g.all {
		t.Error("all processors were needed for longer")
	}
	if g.drive(2 * reviewInterval); g.all || g.shifts != 3 {
		t.Errorf("all processors: %v, after %d shifts, though nobody needs them any more", g.all, g.shifts)
	}
}

func TestOneProcessorDoesNotSuffice(t *testing.T) {
	for _, c := range []struct {
		what      string
		own, idle float64
		all       bool
	}{
		{"a full core, and one is idle", 1, 1, true},
		{"a full core, and others need the rest", 1, 0.2, false},
		{"half a core", 0.5, 1.5, false},
	} {
		g := newGarage()
		g.drive(2 * holdForLoad)
		g.own, g.idle = c.own, c.idle
		if g.drive(time.Second); g.all != c.all {
			t.Errorf("%s: all processors: %v", c.what, g.all)
		}
	}
}

// More than a core is a reason to stay, also where nothing is idle then.
func TestProcessorsAreKept(t *testing.T) {
	g := newGarage()
	g.own, g.idle = 1.3, 0
	g.drive(5 * time.Second)
	if !g.all || g.shifts > 0 {
		t.Errorf("all processors: %v, after %d shifts", g.all, g.shifts)
	}
	g.own = 0.3
	if g.drive(2 * time.Second); g.all {
		t.Error("all processors for a third of a core")
	}
}

// Nearly a core is no reason to keep all, where nothing is idle.
func TestProcessorsAreGivenBack(t *testing.T) {
	g := newGarage()
	g.own, g.idle = 0.95, 0
	if g.drive(5 * time.Second); g.all {
		t.Error("all processors, though there is one core to be had")
	}
}

// As long as all are needed it is said so again from time to time: how many that
// are may have changed.
func TestAllProcessorsAgain(t *testing.T) {
	g := newGarage()
	g.own, g.idle = 1.3, 0
	if g.drive(35 * time.Second); !g.all || g.shifts != 3 {
		t.Errorf("all processors: %v; told %d times in 35 s, want 3", g.all, g.shifts)
	}
	g.own = 0.3
	if g.drive(time.Minute); g.all || g.shifts != 4 {
		t.Errorf("all processors: %v; that one suffices was told %d times", g.all, g.shifts-3)
	}
}

// Who needs all of them while they are taken away gets them back.
func TestNeedWhileShifting(t *testing.T) {
	g := newGarage()
	shift := g.gear.shift
	g.gear.shift = func(all bool) {
		if shift(all); !all && g.shifts == 1 {
			g.gear.need(g.now, holdForLoad)
		}
	}
	for g.shifts == 0 {
		g.drive(time.Millisecond)
	}
	if g.answer(); !g.all { // at once
		t.Errorf("one processor, though all are needed (%d shifts)", g.shifts)
	}
}

// Where Go has one processor for good, lanes give way all the same.
func TestOneProcessorForGood(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := newGear(nil, nil, nil)
	at := &way{}
	if !g.givesWay() || !g.giveWay(at, clock.Time(2*longestTurn), 0) || at.yields != 1 {
		t.Error("a lane does not give way")
	}
	g.need(1, time.Hour)
	if len(g.lever) > 0 {
		t.Error("somebody is to shift what cannot be shifted")
	}
}

// What is not known is no reason; nor is what was used in a pause.
func TestUsageUnknown(t *testing.T) {
	g := newGarage()
	g.failing = errors.New("no /proc")
	g.own, g.idle = 1, 1
	if g.drive(2 * holdForLoad); g.all {
		t.Error("all processors for an unknown reason")
	}
	g = newGarage()
	g.drive(2 * holdForLoad)
	g.now = g.now.Add(time.Minute)
	g.used.Own += time.Hour
	g.used.Idle += time.Hour
	if g.drive(10 * time.Millisecond); g.all {
		t.Error("all processors for what was before a pause")
	}
}

func TestGearWithoutProcessors(t *testing.T) {
	g := newGear(nil, nil, nil)
	g.need(1, time.Hour)
	g.carried(clock.Time(time.Hour))
	if len(g.lever) > 0 {
		t.Error("somebody is to shift")
	}
}

// A lane that never waits gives way, where there is one processor; one that waits
// from time to time does so anyway.
func TestLaneGivesWay(t *testing.T) {
	for _, c := range []struct {
		what        string
		waits       time.Duration // from time to time
		low         bool
		least, most int // times that it gives way in ten turns
	}{
		{"waits", longestTurn / 2, true, 0, 1},
		{"never waits", time.Hour, true, 9, 11},
		{"never waits, but has a processor to itself", time.Hour, false, 0, 0},
	} {
		g := newGarage()
		g.gear.low.Store(c.low)
		at := &way{}
		g.gear.place = func() yield.Place { return at }
		newLane(newForcedPolicy(1), g.gear, nil, handles(&busy{g: g, waits: c.waits, waited: g.now, end: g.now.Add(10 * longestTurn)})).lead()
		if at.yields < c.least || at.yields > c.most || !at.closed {
			t.Errorf("a lane that %s gave way %d times (closed: %v)", c.what, at.yields, at.closed)
		}
	}
}

// way counts.
type way struct {
	yields int
	closed bool
}

func (w *way) Yield() { w.yields++ }
func (w *way) Close() { w.closed = true }

// busy has a batch every 10 µs until the end, which nearly always waits already.
type busy struct {
	g      *garage
	waits  time.Duration
	waited clock.Time
	end    clock.Time
}

func (b *busy) Read(wait bool) (BatchInfo, error) {
	switch now := b.g.now; {
	case now >= b.end:
		return BatchInfo{}, os.ErrClosed
	case wait:
		b.waited = now
	case now.Sub(b.waited) > b.waits:
		return BatchInfo{}, nil
	}
	b.g.now = b.g.now.Add(10 * time.Microsecond)
	return BatchInfo{Bytes: 100, At: b.g.now}, nil
}

func (*busy) Failed(error) bool { return true }
func (*busy) Prepare() bool     { return false }
func (*busy) Work()             {}
func (*busy) Finish()           {}
