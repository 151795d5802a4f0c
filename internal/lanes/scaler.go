package lanes

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// mostQueues there are of the interface, or sockets of a family.
	mostQueues = 8

	// leastCores is when several queues are worth a thought: with two, the other
	// one is needed by whom the packets come from or go to.
	leastCores = 3

	// leastReads in a review tell something.
	leastReads = 100

	// A queue too many is given up after so long: to change their number moves
	// most flows.
	longCalm = 10 * time.Second
)

// breadth decides how many queues a way has: it tries one more where small
// packets of several flows wait.
type breadth struct {
	trials
	forced func() int // of that many, without asking why; for tests

	since clock.Time // of the last review
	seen  totals
	calm  clock.Time // fewer would do since then; 0: they would not
}

func newBreadth(most int, usage func() (cpu.Times, error), tell func(number int, why string)) breadth {
	return breadth{trials: newTrials(most, usage, tell)}
}

// review looks back, and says how many queues there are to be.
func (p *breadth) review(now clock.Time, t totals) int {
	if p.forced != nil {
		return min(max(p.forced(), 1), p.most)
	}
	span := now.Sub(p.since)
	reads, ready := t.reads-p.seen.reads, t.ready-p.seen.ready
	items, bytes := t.items-p.seen.items, t.bytes-p.seen.bytes
	p.since, p.seen = now, t
	rate := float64(bytes) / max(span, 1).Seconds()
	paused := span > 2*reviewInterval
	if paused && p.trial > 0 {
		return p.fail(now, p.width-1, "there was a pause")
	}
	backlog := !paused && reads >= leastReads && ready*8 >= reads*7 &&
		bytes < items*largeBatch/2 && t.flows > p.width
	if p.trial == 0 && !(backlog && p.mayBegin(now)) {
		p.meter.forget()
		return p.ease(now, rate)
	}
	own, idle, known := p.meter.read(span)
	switch {
	case !known: // next time
	case p.trial > 0:
		return p.judge(now, experience{rate, own, idle})
	case idle >= leastIdle:
		return p.begin(experience{rate, own, idle}, "small packets of several flows wait, and a core is idle")
	}
	return p.width
}

// interval is how long after a review the next one is due.
func (p *breadth) interval() time.Duration {
	if p.forced != nil {
		return reviewInterval / 50
	}
	return reviewInterval
}

// ease gives up a queue when one less would have done for long.
func (p *breadth) ease(now clock.Time, rate float64) int {
	switch {
	case !p.tooMany(rate):
		p.calm = 0
	case p.calm == 0:
		p.calm = now
	case now.Sub(p.calm) >= longCalm:
		p.calm = 0
		return p.change(p.width-1, "there is less to do")
	}
	return p.width
}

// settle takes note that there are n queues now, or why there are not more. What
// the kernel refuses today, for want of memory or descriptors, it may grant later.
func (p *breadth) settle(now clock.Time, t totals, n int, err error) {
	p.width, p.since, p.seen = n, now, t
	if err != nil {
		p.trial, p.retry = 0, now.Add(longestWait)
		p.tell(n, err.Error())
	}
}
