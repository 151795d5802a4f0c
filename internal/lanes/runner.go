package lanes

import (
	"log/slog"
	"runtime"
	"sync"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// Options are what a Runner must know of its surroundings.
type Options struct {
	Clock func() clock.Now
	Log   *slog.Logger

	// Usage and Processors are as in engine.World; so are Goroutines, which is
	// Spread there, and Queues.
	Usage      func() (cpu.Times, error)
	Processors func(all bool)
	Goroutines int
	Queues     func() int
}

// Direction is which way packets go.
type Direction string

// The directions, seen from this machine.
const (
	Out Direction = "out"
	In  Direction = "in"
)

// A Runner runs the lanes of an engine.
type Runner struct {
	options Options
	running *sync.WaitGroup
	gear    *gear
	cores   int // for one way at most
}

// New makes the Runner of an engine, whose goroutines running counts.
func New(o Options, running *sync.WaitGroup) *Runner {
	return &Runner{
		options: o,
		running: running,
		gear:    newGear(o.Processors, o.Clock, o.Usage),
		cores:   min(usableCores(o.Processors != nil), mostGoroutines),
	}
}

// MaxQueues is how many queues of its interface, and sockets of a family, an
// engine can use at most in this process; 1 where there are too few cores. spare
// says that Go has one processor more than it may use cores.
func MaxQueues(spare bool) int {
	if cores := usableCores(spare); cores >= leastCores {
		return min(cores, mostQueues)
	}
	return 1
}

func usableCores(spare bool) int {
	processors := runtime.GOMAXPROCS(0)
	if spare {
		processors = max(1, processors-1)
	}
	return min(processors, runtime.NumCPU())
}

// MaxQueues is how many queues one direction may have: the function MaxQueues,
// unless a test wants otherwise.
func (r *Runner) MaxQueues() int {
	if r.options.Queues != nil {
		return mostQueues
	}
	if r.cores < leastCores || r.options.Usage == nil {
		return 1
	}
	return r.cores
}

// Run runs one lane until its source ends.
func (r *Runner) Run(d Direction, s Source) { r.newLane(d, s).lead() }

func (r *Runner) newLane(d Direction, s Source) *lane {
	return newLane(r.policy(d, s.Single), r.gear, r.running, s)
}

// policy is how a lane is spread.
func (r *Runner) policy(d Direction, single bool) policy {
	switch {
	case single:
		return newForcedPolicy(1)
	case r.options.Goroutines > 0:
		return newForcedPolicy(r.options.Goroutines)
	}
	return newPolicy(r.cores, r.options.Usage, func(width int, why string) {
		r.options.Log.Debug("goroutines that carry packets at once", "way", d, "number", width, "why", why)
	})
}

// RunQueues runs the lanes of a direction with several queues, at most most, until
// the first ends.
func (r *Runner) RunQueues(d Direction, q Queues, most int) { r.newBundle(d, q, most).lead() }

func (r *Runner) newBundle(d Direction, q Queues, most int) *bundle {
	p := newBreadth(most, r.options.Usage, func(number int, why string) {
		r.options.Log.Debug("queues that are carried at once", "way", d, "number", number, "why", why)
	})
	p.forced = r.options.Queues
	return newBundle(q, p, r.options.Clock, r.running, func(s Source) *lane { return r.newLane(d, s) })
}

// Govern has the number of Go's processors follow the need, until closing.
func (r *Runner) Govern(closing <-chan struct{}) { r.gear.run(closing) }

// NeedProcessors asks for all of Go's processors for a short while.
func (r *Runner) NeedProcessors(now clock.Time) { r.gear.need(now, holdForChange) }
