package engine

import (
	"log/slog"
	"runtime"
	"sync"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// options are what a runner must know of its surroundings.
type options struct {
	clock func() clock.Now
	log   *slog.Logger

	// usage, processors, goroutines and queues are Usage, Processors, Spread and
	// Queues of World.
	usage      func() (cpu.Times, error)
	processors func(all bool)
	goroutines int
	queues     func() int
}

// A runner runs the lanes of an engine.
type runner struct {
	options
	running *sync.WaitGroup
	gear    *gear
	cores   int // for one way at most
}

func newRunner(o options, running *sync.WaitGroup) *runner {
	return &runner{
		options: o,
		running: running,
		gear:    newGear(o.processors, o.clock, o.usage),
		cores:   min(usableCores(o.processors != nil), mostGoroutines),
	}
}

// Queues is how many queues of its interface, and sockets of a family, an
// engine can use at most in this process; 1 where there are too few cores. spare
// says that Go has one processor more than it may use cores.
func Queues(spare bool) int {
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

// maxQueues is how many queues one way may have: Queues, unless a test wants
// otherwise.
func (r *runner) maxQueues() int {
	if r.queues != nil {
		return mostQueues
	}
	if r.cores < leastCores || r.usage == nil {
		return 1
	}
	return r.cores
}

// run runs one lane until its source ends.
func (r *runner) run(way string, s source) { r.newLane(way, s).lead() }

func (r *runner) newLane(way string, s source) *lane {
	return newLane(r.policy(way, s.single), r.gear, r.running, s)
}

// policy is how a lane is spread.
func (r *runner) policy(way string, single bool) policy {
	switch {
	case single:
		return newForcedPolicy(1)
	case r.goroutines > 0:
		return newForcedPolicy(r.goroutines)
	}
	return newPolicy(r.cores, r.usage, func(width int, why string) {
		r.log.Debug("goroutines that carry packets at once", "way", way, "number", width, "why", why)
	})
}

// runQueues runs the lanes of a way with several queues until the first ends.
func (r *runner) runQueues(way string, q queues, most int) { r.newBundle(way, q, most).lead() }

func (r *runner) newBundle(way string, q queues, most int) *bundle {
	p := newBreadth(most, r.usage, func(number int, why string) {
		r.log.Debug("queues that are carried at once", "way", way, "number", number, "why", why)
	})
	p.forced = r.queues
	return newBundle(q, p, r.clock, r.running, func(s source) *lane { return r.newLane(way, s) })
}
