package lanes

import (
	"log/slog"
	"runtime"
	"sync"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// Options are what a Runner needs to know of its surroundings. With none, one
// goroutine processes each direction.
type Options struct {
	// Usage returns how the processors are used. If it is nil, no direction is
	// spread over several goroutines or queues.
	Usage func() (cpu.Times, error)

	// Processors, if it is not nil, sets the number of Go's processors: all, or one.
	// At the beginning there must be all. While all are needed, it is called again
	// from time to time, because their number may have changed. It may be slow.
	Processors func(all bool)

	// Spread makes the policy of one lane, and Scaler the scaler of a group that can
	// have that many queues. If they are nil, the Runner measures how many goroutines
	// and queues are worth their cost.
	Spread func() SpreadPolicy
	Scaler func(limit int) QueueScaler

	// Counters, if it is not nil, counts what the Runner does.
	Counters *Counters
}

// A Direction is the direction of packets.
type Direction string

// The directions, as seen from this machine.
const (
	Out Direction = "out" // from the interface to the sockets
	In  Direction = "in"  // from the sockets to the interface
)

// A Runner runs the lanes of one engine.
type Runner struct {
	options  Options
	clock    func() clock.Now
	log      *slog.Logger
	running  *sync.WaitGroup
	governor *governor
	cores    int // that one direction may use
}

// New returns the Runner of an engine, which counts its goroutines in running.
func New(o Options, clock func() clock.Now, log *slog.Logger, running *sync.WaitGroup) *Runner {
	if o.Counters == nil {
		o.Counters = &Counters{}
	}
	return &Runner{
		options:  o,
		clock:    clock,
		log:      log,
		running:  running,
		governor: newGovernor(o.Processors, clock, o.Usage),
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

// MaxQueues returns how many queues one direction may have. That may be fewer than
// the function MaxQueues returns.
func (r *Runner) MaxQueues() int {
	if r.options.Scaler != nil {
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
	return newLane(r.spreadPolicy(d), r.governor, &r.options.Counters.of(d).Goroutines, r.running, s)
}

func (r *Runner) spreadPolicy(d Direction) SpreadPolicy {
	switch {
	case r.options.Spread != nil:
		return r.options.Spread()
	case r.cores == 1 || r.options.Usage == nil:
		return FixedSpread(1)
	}
	return newSpreadPolicy(r.cores, r.options.Usage, func(n decision) {
		r.note(d, "goroutines", &r.options.Counters.of(d).Goroutines, n)
	})
}

// RunQueues runs a lane for each of several queues, of which there may be at most
// limit. It returns when the first queue ends.
func (r *Runner) RunQueues(d Direction, q Queues, limit int) {
	counter := &r.options.Counters.of(d).Queues
	onDecision := func(n decision) { r.note(d, "queues", counter, n) }
	g := &queueGroup{
		queues:     q,
		scaler:     r.queueScaler(limit, onDecision),
		running:    r.running,
		clock:      r.clock,
		newLane:    func(s Source) *lane { return r.newLane(d, s) },
		onDecision: onDecision,
		counter:    counter,
	}
	g.lead()
}

func (r *Runner) queueScaler(limit int, onDecision func(decision)) QueueScaler {
	if r.options.Scaler != nil {
		return r.options.Scaler(limit)
	}
	return newQueueScaler(limit, r.options.Usage, onDecision)
}

// note counts and logs a decision about the number of goroutines or queues.
func (r *Runner) note(d Direction, what string, c *Counter, n decision) {
	c.note(n)
	s := c.Stats()
	attrs := []any{"direction", d, what, n.number, "reason", n.reason, "tried", s.Tried, "kept", s.Kept, "failed", s.Failed}
	if n.err != nil {
		attrs = append(attrs, "err", n.err)
	}
	r.log.Debug("number of "+what, attrs...)
}

// Govern sets the number of Go's processors as needed, until closing is closed.
func (r *Runner) Govern(closing <-chan struct{}) { r.governor.run(closing) }

// NeedProcessors requests all of Go's processors for a short time.
func (r *Runner) NeedProcessors(now clock.Time) { r.governor.need(now, holdForChange) }
