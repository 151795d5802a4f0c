package lanes

import (
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
)

// policy decides over how many goroutines a lane is spread: it tries one more
// where there is a backlog of large batches.
type policy struct {
	trials
	forced bool // always all, for tests
	streak int  // batches in a row that were there before anybody asked

	// Since the last review.
	since clock.Time
	reads int
	ready int
	bytes int
}

func newPolicy(most int, usage func() (cpu.Times, error), tell func(width int, why string)) policy {
	return policy{trials: newTrials(most, usage, tell)}
}

// newForcedPolicy is for tests: n goroutines, for every batch, large or not.
func newForcedPolicy(n int) policy {
	return policy{trials: trials{most: n, width: n}, forced: true}
}

// note takes one batch, while so many followers are awake, and says whether it
// may be carried beside others, and whether a follower is to be roused.
func (p *policy) note(a BatchInfo, ready bool, awake int) (shared, more bool) {
	if p.forced {
		return p.width > 1, awake < p.width-1
	}
	if p.most == 1 || p.meter.usage == nil {
		return false, false
	}
	p.reads++
	p.bytes += a.Bytes
	if ready {
		p.ready++
		p.streak++
	} else {
		p.streak = 0
	}
	if p.since == 0 {
		p.since = a.At
	} else if a.At.Sub(p.since) >= reviewInterval {
		p.review(a.At)
	}
	if p.width == 1 || a.Bytes < largeBatch || p.streak < sharedAfter {
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
	backlog := ready*8 >= reads*7 && bytes >= reads*largeBatch/2
	paused := span > 2*reviewInterval
	if paused && p.width > 1 {
		p.trial, p.width = 0, p.change(1, "there was a pause")
	}
	if paused || p.width == 1 && !backlog {
		p.meter.forget()
		return
	}
	if own, idle, known := p.meter.read(span); known {
		p.width = p.decide(now, experience{float64(bytes) / span.Seconds(), own, idle}, backlog)
	}
}

// decide says how many goroutines there are to be, in view of the last review.
func (p *policy) decide(now clock.Time, x experience, backlog bool) int {
	switch {
	case p.crowded(x):
		return p.fail(now, 1, "others need the cores")
	case p.trial > 0:
		return p.judge(now, x)
	case p.tooMany(x.rate):
		return p.change(p.width-1, "there is less to do")
	case backlog && x.idle >= leastIdle && p.mayBegin(now):
		return p.begin(x, "there is a backlog, and a core is idle")
	}
	return p.width
}

// crowded reports whether the cores that we expected to have are somebody
// else's by now: we and idleness together do not make up for them.
func (p *policy) crowded(x experience) bool {
	alone := p.before[0]
	return p.width > 1 && x.own+x.idle < alone.own+float64(p.width-1)-0.5
}
