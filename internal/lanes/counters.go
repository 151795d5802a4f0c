package lanes

import "sync/atomic"

// A Reason is why a number of goroutines or queues was changed, or kept.
type Reason int

// The reasons. The first two begin a trial of one more.
const (
	LargeBatchesWait Reason = iota
	SmallPacketsWait
	WorthIt     // a trial has shown that
	NotWorthIt  // a trial has shown that
	CoresNeeded // by other programs
	Pause       // in the traffic
	LessToDo
	Refused    // by the operating system
	NotSteered // not a change: the kernel did not steer all packets to the first queue

	reasonCount
)

// String describes the reason.
func (r Reason) String() string {
	switch r {
	case LargeBatchesWait:
		return "large batches wait, and a core is idle"
	case SmallPacketsWait:
		return "small packets of several flows wait, and a core is idle"
	case WorthIt:
		return "the last one is worth it"
	case NotWorthIt:
		return "one fewer does as well"
	case CoresNeeded:
		return "other programs need the cores"
	case Pause:
		return "there was a pause"
	case LessToDo:
		return "there is less to do"
	case Refused:
		return "the system refuses more"
	case NotSteered:
		return "the kernel does not steer all packets to one queue: some may be lost, or overtake others"
	}
	return "unknown"
}

// Counters count what a Runner does. They may be read at any time.
type Counters struct{ Out, In DirectionCounters }

func (c *Counters) of(d Direction) *DirectionCounters {
	if d == Out {
		return &c.Out
	}
	return &c.In
}

// DirectionCounters count the goroutines of all lanes of one direction, and its
// queues. For In, these are the sockets of both address families.
type DirectionCounters struct{ Goroutines, Queues Counter }

// A Counter counts goroutines or queues, and how their number changes.
type Counter struct {
	now                 atomic.Int64
	tried, kept, failed atomic.Uint64
	reasons             [reasonCount]atomic.Uint64
}

// Stats are the values of a Counter at one moment.
type Stats struct {
	Now int // how many there are

	// Trials of one more: how many have begun, and how they ended.
	Tried, Kept, Failed uint64

	Reasons []uint64 // by Reason, how often it was given
}

// Stats returns the values of this moment.
func (c *Counter) Stats() Stats {
	s := Stats{Now: int(c.now.Load()), Tried: c.tried.Load(), Kept: c.kept.Load(), Failed: c.failed.Load()}
	for r := range c.reasons {
		s.Reasons = append(s.Reasons, c.reasons[r].Load())
	}
	return s
}

func (c *Counter) add(n int) { c.now.Add(int64(n)) }

// A decision sets the number of goroutines or queues.
type decision struct {
	number int
	reason Reason
	trial  trialEvent
	err    error // for Refused
}

// A trialEvent is what a decision means for a trial.
type trialEvent int

const (
	noTrial trialEvent = iota
	trialBegins
	trialKept
	trialFailed
)

func (c *Counter) note(d decision) {
	c.reasons[d.reason].Add(1)
	switch d.trial {
	case trialBegins:
		c.tried.Add(1)
	case trialKept:
		c.kept.Add(1)
	case trialFailed:
		c.failed.Add(1)
	}
}
