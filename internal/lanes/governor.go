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
	// All processors are kept for this long after they were needed.
	holdForLoad   = time.Second
	holdForChange = 100 * time.Millisecond

	// While all are needed, Processors is called again at this interval, because
	// their number may have changed.
	repeatInterval = 10 * time.Second

	// With one processor, a lane yields when it has not waited for this long.
	maxTurn = 5 * time.Millisecond

	// One processor is too few when the process uses this much of a core and this
	// much of another core is idle, or when it uses more than one core.
	nearlyOneCore  = 0.9
	idleForAnother = 0.5
)

// The governor sets the number of Go's processors (GOMAXPROCS): one while one
// suffices, otherwise all.
//
// Whenever one of Go's processors finds work and another one is idle, Go wakes a
// thread to look for more work. In a tunnel that is a second thread for each
// batch. It finds nothing, and takes a core from the programs that send and
// receive. With one processor there is no second thread. On the other hand,
// goroutines then run for up to 10 ms, during which nothing polls the kernel for
// what has arrived. So a lane yields after 5 ms, and whatever else occupies a
// processor for long requests all of them: a lane that is spread over several
// goroutines, handshakes, changes of the configuration, and work for more than
// one core.
//
// Without Options.Processors the governor changes nothing. Lanes yield all the
// same if there is one processor.
type governor struct {
	set        func(all bool)
	clock      func() clock.Now
	newYielder func() yield.Yielder // for a lane

	neededUntil atomic.Int64  // clock.Time until which all processors are needed
	single      atomic.Bool   // there is one processor
	measured    atomic.Int64  // clock.Time of the last measurement of the load
	reviews     chan struct{} // a token requests a review

	// Used by run only.
	meter   coreMeter
	changed clock.Time // when set was last called
}

func newGovernor(processors func(all bool), clock func() clock.Now, usage func() (cpu.Times, error)) *governor {
	g := &governor{set: processors, clock: clock, meter: coreMeter{usage: usage}, reviews: make(chan struct{}, 1)}
	g.newYielder = func() yield.Yielder { return noYield{} }
	if g.single.Store(runtime.GOMAXPROCS(0) == 1); g.mayYield() {
		g.newYielder = yield.New
	}
	if g.set != nil {
		g.changed = g.clock().Mono
		g.neededUntil.Store(int64(g.changed.Add(holdForLoad)))
	}
	return g
}

// run changes the number of processors until closing is closed. A change may take
// as long as a garbage collection, so no goroutine that processes packets does it.
func (g *governor) run(closing <-chan struct{}) {
	for {
		select {
		case <-g.reviews:
			g.review(g.clock().Mono)
		case <-closing:
			return
		}
	}
}

func (g *governor) review(now clock.Time) {
	if span := now.Sub(clock.Time(g.measured.Load())); span >= reviewInterval {
		g.measure(now, span)
	}
	single := g.oneSuffices(now)
	if single == g.single.Load() && (single || now.Sub(g.changed) < repeatInterval) {
		return
	}
	g.set(!single)
	g.changed = now
	g.single.Store(single)
	if single && !g.oneSuffices(g.clock().Mono) {
		// A goroutine that called need since the first look found all processors
		// there, and requested nothing.
		g.requestReview()
	}
}

// measure extends the time for which all are needed if one core is too few.
func (g *governor) measure(now clock.Time, span time.Duration) {
	g.measured.Store(int64(now))
	own, idle, known := g.meter.read(span)
	if known && span < 2*reviewInterval && (own > 1 || own >= nearlyOneCore && idle >= idleForAnother) {
		g.extend(now, holdForLoad)
	}
}

// oneSuffices reports whether one processor suffices.
func (g *governor) oneSuffices(now clock.Time) bool { return int64(now) > g.neededUntil.Load() }

// noteTraffic is called for every batch. From time to time it requests a review.
func (g *governor) noteTraffic(now clock.Time) {
	if g.set != nil && now.Sub(clock.Time(g.measured.Load())) >= reviewInterval {
		g.requestReview()
	}
}

// need requests all processors, for at least the time hold.
func (g *governor) need(now clock.Time, hold time.Duration) {
	if g.set == nil {
		return
	}
	g.extend(now, hold)
	if g.single.Load() {
		g.requestReview()
		runtime.Gosched() // so that run runs
	}
}

func (g *governor) extend(now clock.Time, hold time.Duration) {
	until := int64(now.Add(hold))
	for old := g.neededUntil.Load(); old < until && !g.neededUntil.CompareAndSwap(old, until); {
		old = g.neededUntil.Load()
	}
}

func (g *governor) requestReview() {
	select {
	case g.reviews <- struct{}{}:
	default:
	}
}

// mayYield reports whether there is, or may be later, only one processor.
func (g *governor) mayYield() bool { return g.set != nil || g.single.Load() }

// yieldAfterTurn yields if there is one processor and the lane's turn is over. It
// reports whether it did.
func (g *governor) yieldAfterTurn(y yield.Yielder, now, turnStart clock.Time) bool {
	if !g.single.Load() || now.Sub(turnStart) < maxTurn {
		return false
	}
	y.Yield()
	return true
}

// noYield is for lanes that always have a processor.
type noYield struct{}

func (noYield) Yield() {}
func (noYield) Close() {}
