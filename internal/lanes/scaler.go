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

// A queueScaler decides how many queues a direction has: it tries one more where
// small packets of several flows wait.
type queueScaler struct {
	hillClimber
	forced func() int // this many, without asking why; for tests

	last         clock.Time // the last review
	seen         totals     // at that time
	surplusSince clock.Time // one fewer has sufficed since; 0: it does not
}

func newQueueScaler(max int, usage func() (cpu.Times, error), tell func(number int, why string)) queueScaler {
	return queueScaler{hillClimber: newHillClimber(max, usage, tell)}
}

// review evaluates the time since the last review, and returns how many queues
// there are to be.
func (p *queueScaler) review(now clock.Time, t totals) int {
	if p.forced != nil {
		return min(max(p.forced(), 1), p.max)
	}
	span := now.Sub(p.last)
	reads, ready := t.reads-p.seen.reads, t.ready-p.seen.ready
	items, bytes := t.items-p.seen.items, t.bytes-p.seen.bytes
	p.last, p.seen = now, t
	rate := float64(bytes) / max(span, 1).Seconds()
	paused := span > 2*reviewInterval
	if paused && p.trial > 0 {
		return p.fail(now, p.width-1, "there was a pause")
	}
	backlog := !paused && reads >= minReads && ready*8 >= reads*7 &&
		bytes < items*largeBatch/2 && t.flows > p.width
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
		return p.begin(measurement{rate, own, idle}, "small packets of several flows wait, and a core is idle")
	}
	return p.width
}

// interval is the time from one review to the next.
func (p *queueScaler) interval() time.Duration {
	if p.forced != nil {
		return reviewInterval / 50
	}
	return reviewInterval
}

// dropSurplus returns one queue fewer once that would have sufficed for long.
func (p *queueScaler) dropSurplus(now clock.Time, rate float64) int {
	switch {
	case !p.tooMany(rate):
		p.surplusSince = 0
	case p.surplusSince == 0:
		p.surplusSince = now
	case now.Sub(p.surplusSince) >= keepSurplus:
		p.surplusSince = 0
		return p.change(p.width-1, "there is less to do")
	}
	return p.width
}

// resized is called when the number of queues was to change: there are n now, and
// err says why it could not change. What the kernel refuses today, for want of
// memory or descriptors, it may grant later.
func (p *queueScaler) resized(now clock.Time, t totals, n int, err error) {
	p.width, p.last, p.seen = n, now, t
	if err != nil {
		p.trial, p.nextTrial = 0, now.Add(maxWait)
		p.tell(n, err.Error())
	}
}
