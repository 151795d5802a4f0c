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

// A governed is a simulated process with a governor. The goroutine of the governor
// does not run; the method run of governed performs the reviews.
type governed struct {
	governor *governor
	now      clock.Time
	all      bool      // the process has all processors
	sets     int       // calls of Processors
	own      float64   // cores that the process uses
	idle     float64   // cores that are idle
	used     cpu.Times // total so far
	failing  error     // returned when usage is read
}

func newGoverned() *governed {
	g := &governed{now: clock.Time(time.Hour), all: true}
	g.governor = newGovernor(
		func(all bool) { g.all, g.sets = all, g.sets+1 },
		func() clock.Now { return clock.Now{Mono: g.now} },
		func() (cpu.Times, error) { return g.used, g.failing },
	)
	g.governor.single.Store(false) // whatever the process of the test has
	return g
}

// run simulates traffic for the time d.
func (g *governed) run(d time.Duration) {
	for end := g.now.Add(d); g.now < end; g.review() {
		const step = time.Millisecond
		g.now = g.now.Add(step)
		g.used.Own += time.Duration(g.own * float64(step))
		g.used.Idle += time.Duration(g.idle * float64(step))
		g.governor.noteTraffic(g.now)
	}
}

// review performs a review if one was requested.
func (g *governed) review() {
	select {
	case <-g.governor.reviews:
		g.governor.review(g.now)
	default:
	}
}

func TestOneProcessorSuffices(t *testing.T) {
	g := newGoverned()
	if g.run(holdForLoad / 2); !g.all || g.sets > 0 {
		t.Errorf("right after the start: all processors: %v, set %d times; want true, 0", g.all, g.sets)
	}
	if g.run(holdForLoad); g.all || g.sets != 1 {
		t.Errorf("under light load: all processors: %v, set %d times; want false, 1", g.all, g.sets)
	}
	g.governor.need(g.now, holdForChange)
	g.review()
	if !g.all {
		t.Error("one processor while all are needed")
	}
	g.governor.need(g.now, holdForChange/2) // which must not shorten the first need
	g.now = g.now.Add(holdForChange * 3 / 4)
	g.governor.requestReview()
	if g.review(); !g.all {
		t.Error("one processor before the first need has ended")
	}
	if g.run(2 * reviewInterval); g.all || g.sets != 3 {
		t.Errorf("after the need: all processors: %v, set %d times; want false, 3", g.all, g.sets)
	}
}

func TestOneProcessorDoesNotSuffice(t *testing.T) {
	for _, c := range []struct {
		what      string
		own, idle float64
		all       bool
	}{
		{"a full core, and one is idle", 1, 1, true},
		{"a full core, and other programs need the rest", 1, 0.2, false},
		{"half a core", 0.5, 1.5, false},
	} {
		g := newGoverned()
		g.run(2 * holdForLoad)
		g.own, g.idle = c.own, c.idle
		if g.run(time.Second); g.all != c.all {
			t.Errorf("%s: all processors: %v, want %v", c.what, g.all, c.all)
		}
	}
}

// All processors are kept while more than one core is used, even if no core is
// idle.
func TestProcessorsAreKept(t *testing.T) {
	g := newGoverned()
	g.own, g.idle = 1.3, 0
	g.run(5 * time.Second)
	if !g.all || g.sets > 0 {
		t.Errorf("all processors: %v, set %d times; want true, 0", g.all, g.sets)
	}
	g.own = 0.3
	if g.run(2 * time.Second); g.all {
		t.Error("all processors for a third of a core")
	}
}

// All processors are not kept while nearly one core is used and no core is idle.
func TestProcessorsAreReleased(t *testing.T) {
	g := newGoverned()
	g.own, g.idle = 0.95, 0
	if g.run(5 * time.Second); g.all {
		t.Error("all processors while only one core is available")
	}
}

// While all are needed, Processors is called again from time to time, because their
// number may have changed.
func TestAllProcessorsAgain(t *testing.T) {
	g := newGoverned()
	g.own, g.idle = 1.3, 0
	if g.run(35 * time.Second); !g.all || g.sets != 3 {
		t.Errorf("all processors: %v, set %d times in 35 s; want true, 3", g.all, g.sets)
	}
	g.own = 0.3
	if g.run(time.Minute); g.all || g.sets != 4 {
		t.Errorf("all processors: %v, one processor set %d times; want false, 1", g.all, g.sets-3)
	}
}

// If a goroutine needs all processors while the governor reduces them to one, the
// governor restores them.
func TestNeedWhileChanging(t *testing.T) {
	g := newGoverned()
	set := g.governor.set
	g.governor.set = func(all bool) {
		if set(all); !all && g.sets == 1 {
			g.governor.need(g.now, holdForLoad)
		}
	}
	for g.sets == 0 {
		g.run(time.Millisecond)
	}
	if g.review(); !g.all { // at once
		t.Errorf("one processor while all are needed (set %d times)", g.sets)
	}
}

// Lanes also yield where Go always has one processor.
func TestAlwaysOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := newGovernor(nil, nil, nil)
	y := &yields{}
	if !g.mayYield() || !g.yieldAfterTurn(y, clock.Time(2*maxTurn), 0) || y.count != 1 {
		t.Errorf("a lane yielded %d times, want 1", y.count)
	}
	g.need(1, time.Hour)
	if len(g.reviews) > 0 {
		t.Error("a review is requested of a governor that cannot change the number")
	}
}

// An unknown load does not raise the number of processors. Neither does the load
// before a pause.
func TestUsageUnknown(t *testing.T) {
	g := newGoverned()
	g.failing = errors.New("no /proc")
	g.own, g.idle = 1, 1
	if g.run(2 * holdForLoad); g.all {
		t.Error("all processors for an unknown load")
	}
	g = newGoverned()
	g.run(2 * holdForLoad)
	g.now = g.now.Add(time.Minute)
	g.used.Own += time.Hour
	g.used.Idle += time.Hour
	if g.run(10 * time.Millisecond); g.all {
		t.Error("all processors for the load before a pause")
	}
}

func TestGovernorWithoutProcessors(t *testing.T) {
	g := newGovernor(nil, nil, nil)
	g.need(1, time.Hour)
	g.noteTraffic(clock.Time(time.Hour))
	if len(g.reviews) > 0 {
		t.Error("a review is requested of a governor without Processors")
	}
}

// With one processor, a lane that never waits yields. A lane that waits from time
// to time need not yield.
func TestLaneYields(t *testing.T) {
	for _, c := range []struct {
		what     string
		waits    time.Duration // interval at which the lane waits for a batch
		single   bool
		min, max int // yields in ten turns
	}{
		{"waits", maxTurn / 2, true, 0, 1},
		{"never waits", time.Hour, true, 9, 11},
		{"never waits, but has a processor to itself", time.Hour, false, 0, 0},
	} {
		g := newGoverned()
		g.governor.single.Store(c.single)
		y := &yields{}
		g.governor.newYielder = func() yield.Yielder { return y }
		newLane(FixedSpread(1), g.governor, &Counter{}, nil, single(&backlog{g: g, waits: c.waits, waited: g.now, end: g.now.Add(10 * maxTurn)})).lead()
		if y.count < c.min || y.count > c.max || !y.closed {
			t.Errorf("a lane that %s: yielded %d times, closed %v; want %d to %d times, true", c.what, y.count, y.closed, c.min, c.max)
		}
	}
}

// yields is a Yielder that counts its yields.
type yields struct {
	count  int
	closed bool
}

func (y *yields) Yield() { y.count++ }
func (y *yields) Close() { y.closed = true }

// A backlog is a handler that reads a batch every 10 µs until the end. Each batch
// is ready when it is read, except one in each interval of length waits.
type backlog struct {
	g      *governed
	waits  time.Duration
	waited clock.Time
	end    clock.Time
}

func (b *backlog) Read(wait bool) (BatchInfo, error) {
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

func (*backlog) Failed(error) bool { return true }
func (*backlog) Prepare() bool     { return false }
func (*backlog) Work()             {}
func (*backlog) Finish()           {}
