package lanes

import (
	"runtime"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
	"wgd/internal/sys/yield"
)

const (
	// All processors stay for so long after there was a use for them.
	holdForLoad   = time.Second
	holdForChange = 100 * time.Millisecond

	// As long as all are needed it is said again after so long, for how many
	// that are may have changed.
	repeatShift = 10 * time.Second

	// A lane that has not waited for so long gives way, where there is only one.
	longestTurn = 5 * time.Millisecond

	// One processor does not suffice when the process uses as much as that of a
	// core, and there is as much left for another one; or more than a core.
	mostOfCore = 0.9
	coreToHave = 0.5
)

// gear has the process do with one of Go's processors while one suffices.
//
// Whenever one of Go's processors finds work, Go wakes a thread to look for more
// of it, as long as another processor has none. For a tunnel that is a second
// thread for each batch, which finds nothing, and takes a core from those who
// send and receive beside it. With one processor there is none. But then
// goroutines take turns of up to 10 ms, in which nobody asks the kernel what has
// come. So lanes give way after 5 ms, and what else keeps a processor needs all
// of them: a lane that is spread, handshakes, changes of the configuration; and
// of course work for more than one core.
//
// Without Options.Processors it shifts nothing; lanes give way if there is one.
type gear struct {
	shift func(all bool)
	clock func() clock.Now
	place func() yield.Place // where a lane gives way

	until  atomic.Int64 // clock.Time as long as which all are needed
	low    atomic.Bool  // there is one
	looked atomic.Int64 // clock.Time of the last look at the load
	lever  chan struct{}

	// run's own
	meter   coreMeter
	shifted clock.Time
}

func newGear(processors func(all bool), clock func() clock.Now, usage func() (cpu.Times, error)) *gear {
	g := &gear{shift: processors, clock: clock, meter: coreMeter{usage: usage}, lever: make(chan struct{}, 1)}
	g.place = func() yield.Place { return nowhere{} }
	if g.low.Store(runtime.GOMAXPROCS(0) == 1); g.givesWay() {
		g.place = yield.New
	}
	if g.shift != nil {
		g.shifted = g.clock().Mono
		g.until.Store(int64(g.shifted.Add(holdForLoad)))
	}
	return g
}

// run shifts. That may take as long as a collection of garbage, so nobody who
// carries data does it himself.
func (g *gear) run(closing <-chan struct{}) {
	for {
		select {
		case <-g.lever:
			g.pulled(g.clock().Mono)
		case <-closing:
			return
		}
	}
}

func (g *gear) pulled(now clock.Time) {
	if span := now.Sub(clock.Time(g.looked.Load())); span >= reviewInterval {
		g.look(now, span)
	}
	if low := g.suffices(now); low != g.low.Load() || !low && now.Sub(g.shifted) >= repeatShift {
		g.shift(!low)
		g.shifted = now
		g.low.Store(low)
		if low && !g.suffices(g.clock().Mono) {
			g.pull() // whoever needs them since has seen that all were there
		}
	}
}

// look sees whether one core suffices.
func (g *gear) look(now clock.Time, span time.Duration) {
	g.looked.Store(int64(now))
	own, idle, known := g.meter.read(span)
	if known && span < 2*reviewInterval && (own > 1 || own >= mostOfCore && idle >= coreToHave) {
		g.extend(now, holdForLoad)
	}
}

// suffices reports whether one processor does.
func (g *gear) suffices(now clock.Time) bool { return int64(now) > g.until.Load() }

// carried notes that data flows: from time to time it is looked whether the
// number of processors is right.
func (g *gear) carried(now clock.Time) {
	if g.shift != nil && now.Sub(clock.Time(g.looked.Load())) >= reviewInterval {
		g.pull()
	}
}

// need asks for all processors, for so long.
func (g *gear) need(now clock.Time, hold time.Duration) {
	if g.shift == nil {
		return
	}
	g.extend(now, hold)
	if g.low.Load() {
		g.pull()
		runtime.Gosched() // to run
	}
}

func (g *gear) extend(now clock.Time, hold time.Duration) {
	until := int64(now.Add(hold))
	for old := g.until.Load(); old < until && !g.until.CompareAndSwap(old, until); {
		old = g.until.Load()
	}
}

func (g *gear) pull() {
	select {
	case g.lever <- struct{}{}:
	default:
	}
}

// givesWay reports whether lanes may have to give way.
func (g *gear) givesWay() bool { return g.shift != nil || g.low.Load() }

// giveWay does so at the end of a turn, if there is one processor only, and
// reports whether it did.
func (g *gear) giveWay(at yield.Place, now, turn clock.Time) bool {
	if !g.low.Load() || now.Sub(turn) < longestTurn {
		return false
	}
	at.Yield()
	return true
}

// nowhere is a place for lanes that always have a processor.
type nowhere struct{}

func (nowhere) Yield() {}
func (nowhere) Close() {}
