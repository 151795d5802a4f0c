package lanes

import (
	"log/slog"
	"runtime"
	"sync"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// Options are what the caller of New chooses.
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

// A Direction is that of packets.
type Direction string

// The directions, as seen from this machine.
const (
	Out Direction = "out" // from the interface to the sockets
	In  Direction = "in"  // from the sockets to the interface
)

// A Runner runs the lanes of one engine.
type Runner struct {
	options  Options
	running  *sync.WaitGroup
	governor *governor
	cores    int // that one direction may use
}

// New makes the Runner of an engine. It counts its goroutines in running.
func New(o Options, running *sync.WaitGroup) *Runner {
	return &Runner{
		options:  o,
		running:  running,
		governor: newGovernor(o.Processors, o.Clock, o.Usage),
		cores:    min(usableCores(o.Processors != nil), maxGoroutines),
	}
}

// MaxQueues returns how many queues of the interface, and sockets of an address
// family, are useful in this process at most; 1 if it has too few cores. spare says
// that Go has one processor more than the process may use cores.
func MaxQueues(spare bool) int {
	if cores := usableCores(spare); cores >= minCores {
		return min(cores, maxQueues)
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

// MaxQueues returns how many queues one direction may have: what the function
// MaxQueues returns, unless a test wants something else.
func (r *Runner) MaxQueues() int {
	if r.options.Queues != nil {
		return maxQueues
	}
	if r.cores < minCores || r.options.Usage == nil {
		return 1
	}
	return r.cores
}

// Run runs one lane until its source ends.
func (r *Runner) Run(d Direction, s Source) { r.newLane(d, s).lead() }

func (r *Runner) newLane(d Direction, s Source) *lane {
	return newLane(r.spreadPolicy(d, s.Single), r.governor, r.running, s)
}

func (r *Runner) spreadPolicy(d Direction, single bool) spreadPolicy {
	switch {
	case single:
		return newForcedPolicy(1)
	case r.options.Goroutines > 0:
		return newForcedPolicy(r.options.Goroutines)
	}
	return newSpreadPolicy(r.cores, r.options.Usage, func(width int, why string) {
		r.options.Log.Debug("goroutines that carry packets at once", "way", d, "number", width, "why", why)
	})
}

// RunQueues runs a lane for each of several queues, of which there may be at most
// limit. It returns when the first queue ends.
func (r *Runner) RunQueues(d Direction, q Queues, limit int) { r.newQueueGroup(d, q, limit).lead() }

func (r *Runner) newQueueGroup(d Direction, q Queues, limit int) *queueGroup {
	s := newQueueScaler(limit, r.options.Usage, func(number int, why string) {
		r.options.Log.Debug("queues that are carried at once", "way", d, "number", number, "why", why)
	})
	s.forced = r.options.Queues
	return newQueueGroup(q, s, r.options.Clock, r.running, func(s Source) *lane { return r.newLane(d, s) })
}

// Govern sets the number of Go's processors as needed, until closing is closed.
func (r *Runner) Govern(closing <-chan struct{}) { r.governor.run(closing) }

// NeedProcessors asks for all of Go's processors, for a short while.
func (r *Runner) NeedProcessors(now clock.Time) { r.governor.need(now, holdForChange) }
