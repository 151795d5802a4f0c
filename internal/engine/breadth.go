package engine

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

// breadth decides how many queues a way has. It is what policy is for large
// batches: where small packets of several flows wait, and cores are idle, one
// more is tried, and kept if it is worth its cost.
type breadth struct {
	most   int
	usage  func() (cpu.Times, error)
	tell   func(number int, why string)
	forced func() int // of that many, without asking why; for tests

	width int

	since     clock.Time // of the last review
	seen      totals
	last      cpu.Times
	lastKnown bool

	trial  int          // reviews until it ends; 0: there is none
	before []experience // by width, less one, when one more was tried
	retry  clock.Time   // no trial before it
	wait   time.Duration
	calm   clock.Time // fewer would do since then; 0: they would not
}

func newBreadth(most int, usage func() (cpu.Times, error), tell func(number int, why string)) breadth {
	return breadth{most: most, usage: usage, tell: tell, width: 1, wait: shortestWait, before: make([]experience, most)}
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
	if span > 2*reviewInterval && p.trial > 0 {
		return p.fail(now, "there was a pause")
	}
	backlog := span <= 2*reviewInterval && reads >= leastReads && ready*8 >= reads*7 &&
		bytes < items*largeBatch/2 && t.flows > p.width
	if p.trial == 0 && (!backlog || p.width == p.most || now < p.retry) {
		p.lastKnown = false
		return p.ease(now, rate)
	}
	x, known := p.measure(span, rate)
	if !known {
		return p.width // next time
	}
	return p.judge(now, x)
}

// interval is how long after a review the next one is due.
func (p *breadth) interval() time.Duration {
	if p.forced != nil {
		return reviewInterval / 50
	}
	return reviewInterval
}

// measure is what was experienced since the last review.
func (p *breadth) measure(span time.Duration, rate float64) (x experience, known bool) {
	t, err := p.usage()
	last, known := p.last, p.lastKnown && err == nil
	p.last, p.lastKnown = t, err == nil
	seconds := span.Seconds()
	return experience{
		rate: rate,
		own:  (t.Own - last.Own).Seconds() / seconds,
		idle: (t.Idle - last.Idle).Seconds() / seconds,
	}, known
}

// judge ends a trial, or begins one.
func (p *breadth) judge(now clock.Time, x experience) int {
	switch p.trial {
	case 0:
		if x.idle < leastIdle {
			return p.width
		}
		p.before[p.width-1] = x
		p.trial = 2
		p.tell(p.width+1, "small packets of several flows wait, and a core is idle")
		return p.width + 1
	case 1:
		before := p.before[p.width-2]
		if x.rate < leastGain*before.rate || x.own*before.rate > mostCost*before.own*x.rate {
			return p.fail(now, "one less does as well")
		}
		p.trial, p.wait = 0, shortestWait
		p.tell(p.width, "it is worth it")
	default:
		p.trial-- // it had to begin first
	}
	return p.width
}

func (p *breadth) fail(now clock.Time, why string) int {
	p.trial = 0
	p.retry = now.Add(p.wait)
	p.wait = min(2*p.wait, longestWait)
	p.tell(p.width-1, why)
	return p.width - 1
}

// ease gives up a queue when one less would have done for long.
func (p *breadth) ease(now clock.Time, rate float64) int {
	switch {
	case p.width == 1 || rate >= fewerWouldDo*p.before[p.width-2].rate:
		p.calm = 0
	case p.calm == 0:
		p.calm = now
	case now.Sub(p.calm) >= longCalm:
		p.calm = 0
		p.tell(p.width-1, "there is less to do")
		return p.width - 1
	}
	return p.width
}

// settle takes note that there are n queues now, or why there are not more.
func (p *breadth) settle(now clock.Time, t totals, n int, err error) {
	p.width, p.since, p.seen = n, now, t
	if err != nil {
		p.most, p.trial = n, 0
		p.tell(n, err.Error())
	}
}
