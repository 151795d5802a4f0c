package engine

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// mostGoroutines carry one way: only one at a time reads, and one writes, so
	// more would wait for each other.
	mostGoroutines = 8

	// largeBatch, in bytes, is worth being carried beside others. Small ones
	// are carried to the end at once: a hand-over would cost more than they do.
	largeBatch = 16 << 10

	// A batch may be carried beside others when it and so many before it were
	// there before anybody asked; a follower is roused after some more.
	sharedAfter = 2
	rousedAfter = 4

	// reviewInterval is how long is looked back on. The kernel counts idle time
	// in steps of 10 ms.
	reviewInterval = 100 * time.Millisecond

	// One more goroutine is tried while that much of a core is idle, and kept
	// if so much more is carried, at a cost per byte that is no greater than so
	// much. All of it is relative to what was measured just before.
	leastIdle = 0.7
	leastGain = 1.1
	mostCost  = 1.3

	// Less than that is carried of what fewer carried, so fewer would do.
	fewerWouldDo = 0.9

	// After a trial that failed the next one waits, longer each time.
	shortestWait = time.Second
	longestWait  = time.Minute
)

// policy decides over how many goroutines a lane is spread. Others on this
// machine may need the cores more than we do, and what holds us up may be
// something else than a core. So it looks whether there is a backlog and
// whether cores are idle; if so, it tries one goroutine more, and keeps it only
// if it is worth its cost. Nothing about it depends on how long anything takes
// in itself.
type policy struct {
	most   int                         // goroutines
	usage  func() (cpu.Times, error)   // nil: it is not known, so there is one
	tell   func(width int, why string) // of every change
	forced bool                        // always all, for tests

	width  int // goroutines that may carry; 1: the leader alone
	streak int // batches in a row that were there before anybody asked

	// Since the last review.
	since clock.Time
	reads int
	ready int
	bytes int

	last      cpu.Times // at the last review
	lastKnown bool

	trial  int          // reviews until the trial ends; 0: there is none
	before []experience // by width, less one, when one more was tried
	retry  clock.Time   // no trial before it
	wait   time.Duration
}

// experience is what one review found: bytes a second, and cores.
type experience struct{ rate, own, idle float64 }

func newPolicy(most int, usage func() (cpu.Times, error), tell func(width int, why string)) policy {
	return policy{most: most, usage: usage, tell: tell, width: 1, wait: shortestWait, before: make([]experience, most)}
}

// newForcedPolicy is for tests: n goroutines, for every batch, large or not.
func newForcedPolicy(n int) policy { return policy{most: n, width: n, forced: true} }

// note takes one batch, while so many followers are awake, and says whether it
// may be carried beside others, and whether a follower is to be roused.
func (p *policy) note(a arrival, ready bool, awake int) (shared, more bool) {
	if p.forced {
		return p.width > 1, awake < p.width-1
	}
	if p.most == 1 || p.usage == nil {
		return false, false
	}
	p.reads++
	p.bytes += a.size
	if ready {
		p.ready++
		p.streak++
	} else {
		p.streak = 0
	}
	if p.since == 0 {
		p.since = a.at
	} else if a.at.Sub(p.since) >= reviewInterval {
		p.review(a.at)
	}
	if p.width == 1 || a.size < largeBatch || p.streak < sharedAfter {
		return false, false
	}
	more = awake < p.width-1 && p.streak >= rousedAfter
	return more || awake > 0, more
}

// dry takes note that nothing waits.
func (p *policy) dry() { p.streak = 0 }

// review looks back, and begins to look forward again.
func (p *policy) review(now clock.Time) {
	span := now.Sub(p.since)
	reads, ready, bytes := p.reads, p.ready, p.bytes
	p.since, p.reads, p.ready, p.bytes = now, 0, 0, 0
	if span > 2*reviewInterval {
		p.lastKnown = false
		p.settle(1, "there was a pause")
		return
	}
	backlog := ready*8 >= reads*7 && bytes >= reads*largeBatch/2
	if !backlog && p.width == 1 {
		p.lastKnown = false
		return
	}
	x, known := p.measure(span, bytes)
	if !known {
		return // next time
	}
	p.judge(now, x, backlog)
}

// measure is what was experienced since the last review.
func (p *policy) measure(span time.Duration, bytes int) (x experience, known bool) {
	t, err := p.usage()
	last, known := p.last, p.lastKnown && err == nil
	p.last, p.lastKnown = t, err == nil
	seconds := span.Seconds()
	return experience{
		rate: float64(bytes) / seconds,
		own:  (t.Own - last.Own).Seconds() / seconds,
		idle: (t.Idle - last.Idle).Seconds() / seconds,
	}, known
}

// judge changes the width in view of the last review.
func (p *policy) judge(now clock.Time, x experience, backlog bool) {
	if p.width > 1 && p.crowded(x) {
		p.postpone(now)
		p.settle(1, "others need the cores")
		return
	}
	switch {
	case p.trial > 1:
		p.trial-- // it had to begin first
	case p.trial == 1:
		p.trial = 0
		before := p.before[p.width-2]
		if x.rate < leastGain*before.rate || x.own*before.rate > mostCost*before.own*x.rate {
			p.postpone(now)
			p.settle(p.width-1, "one less does as well")
		} else {
			p.wait = shortestWait
			p.tell(p.width, "it is worth it")
		}
	case p.width > 1 && x.rate < fewerWouldDo*p.before[p.width-2].rate:
		p.settle(p.width-1, "there is less to do")
	case backlog && p.width < p.most && now >= p.retry && x.idle >= leastIdle:
		p.before[p.width-1] = x
		p.trial = 2
		p.settle(p.width+1, "there is a backlog, and a core is idle")
	}
}

// crowded reports whether the cores that we expected to have are somebody
// else's by now: we and idleness together do not make up for them.
func (p *policy) crowded(x experience) bool {
	alone := p.before[0]
	return x.own+x.idle < alone.own+float64(p.width-1)-0.5
}

func (p *policy) postpone(now clock.Time) {
	p.retry = now.Add(p.wait)
	p.wait = min(2*p.wait, longestWait)
}

// settle makes the width another.
func (p *policy) settle(width int, why string) {
	if width < p.width {
		p.trial = 0
	}
	if width != p.width {
		p.width = width
		p.tell(width, why)
	}
}
