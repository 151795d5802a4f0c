package lanes

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// maxQueues is the limit for queues of the interface, and for sockets of one
	// address family.
	maxQueues = 8

	// minCores is the number of cores from which several queues are considered.
	// Of two cores, the second is needed by the programs that send or receive the
	// packets.
	minCores = 3

	// minReads is the number of reads from which a review means something.
	minReads = 100

	// A queue that is not needed is kept for this long, because most flows move
	// when the number changes.
	keepSurplus = 10 * time.Second
)

// A queueScaler is the QueueScaler that measures: it tries one queue more where
// small packets of several flows wait.
type queueScaler struct {
	hillClimber

	last         clock.Time // the last review
	seen         Totals     // at that time
	surplusSince clock.Time // one fewer has sufficed since; 0: it does not
}

func newQueueScaler(max int, usage func() (cpu.Times, error), onDecision func(decision)) *queueScaler {
	return &queueScaler{hillClimber: newHillClimber(max, usage, onDecision)}
}

// Review evaluates the time since the last review.
func (p *queueScaler) Review(now clock.Time, t Totals) int {
	span := now.Sub(p.last)
	reads, ready := t.Reads-p.seen.Reads, t.Ready-p.seen.Ready
	items, bytes := t.Items-p.seen.Items, t.Bytes-p.seen.Bytes
	p.last, p.seen = now, t
	rate := float64(bytes) / max(span, 1).Seconds()
	paused := span > 2*reviewInterval
	if paused && p.trial > 0 {
		return p.fail(now, p.width-1, Pause)
	}
	backlog := !paused && reads >= minReads && ready*8 >= reads*7 &&
		bytes < items*largeBatch/2 && t.Flows > p.width
	if p.trial == 0 && !(backlog && p.mayBegin(now)) {
		p.meter.forget()
		return p.dropSurplus(now, rate)
	}
	own, idle, known := p.meter.read(span)
	switch {
	case !known: // but it may be next time
	case p.trial > 0:
		return p.judge(now, measurement{rate, own, idle})
	case idle >= minIdle:
		return p.begin(measurement{rate, own, idle}, SmallPacketsWait)
	}
	return p.width
}

func (p *queueScaler) Interval() time.Duration { return reviewInterval }

// dropSurplus returns one queue fewer once that would have sufficed for long.
func (p *queueScaler) dropSurplus(now clock.Time, rate float64) int {
	switch {
	case !p.tooMany(rate):
		p.surplusSince = 0
	case p.surplusSince == 0:
		p.surplusSince = now
	case now.Sub(p.surplusSince) >= keepSurplus:
		p.surplusSince = 0
		return p.change(p.width-1, LessToDo)
	}
	return p.width
}

// Resized postpones the next trial if the system refused. What it refuses now, for
// want of memory or descriptors, it may grant later.
func (p *queueScaler) Resized(now clock.Time, t Totals, n int, err error) {
	p.width, p.last, p.seen = n, now, t
	if err != nil {
		p.nextTrial = now.Add(maxWait)
		p.end(decision{number: n, reason: Refused, err: err})
	}
}
