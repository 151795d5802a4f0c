package lanes

import (
	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// maxGoroutines is the limit for one lane. Only one goroutine at a time reads,
	// and only one writes, so more would mostly wait.
	maxGoroutines = 8

	// largeBatch is the size in bytes from which a batch is shared: processed at
	// the same time as others. A smaller one costs less than passing on the read
	// lock and the ticket.
	largeBatch = 16 << 10

	// A batch is shared from this number of batches in a row on that were waiting
	// when they were read; from wakeAfter on, another follower is woken.
	sharedAfter = 2
	wakeAfter   = 4
)

// A spreadPolicy is the SpreadPolicy that measures: it tries one goroutine more
// where there is a backlog of large batches.
type spreadPolicy struct {
	hillClimber
	streak int // batches in a row that were waiting when they were read

	// Since the last review.
	since clock.Time
	reads int
	ready int // of them, batches that were waiting
	bytes int
}

func newSpreadPolicy(max int, usage func() (cpu.Times, error), onDecision func(decision)) *spreadPolicy {
	return &spreadPolicy{hillClimber: newHillClimber(max, usage, onDecision)}
}

func (p *spreadPolicy) Width() int { return p.width }
func (p *spreadPolicy) Max() int   { return p.max }

// Note shares large batches during a backlog.
func (p *spreadPolicy) Note(b BatchInfo, ready bool, active int) (share, wake bool) {
	p.reads++
	p.bytes += b.Bytes
	if ready {
		p.ready++
		p.streak++
	} else {
		p.streak = 0
	}
	if p.since == 0 {
		p.since = b.At
	} else if b.At.Sub(p.since) >= reviewInterval {
		p.review(b.At)
	}
	if p.width == 1 || b.Bytes < largeBatch || p.streak < sharedAfter {
		return false, false
	}
	wake = active < p.width-1 && p.streak >= wakeAfter
	return wake || active > 0, wake
}

// RanEmpty ends the backlog.
func (p *spreadPolicy) RanEmpty() { p.streak = 0 }

// review evaluates the time since the last review.
func (p *spreadPolicy) review(now clock.Time) {
	span := now.Sub(p.since)
	reads, ready, bytes := p.reads, p.ready, p.bytes
	p.since, p.reads, p.ready, p.bytes = now, 0, 0, 0
	backlog := ready*8 >= reads*7 && bytes >= reads*largeBatch/2
	paused := span > 2*reviewInterval
	if paused && p.width > 1 {
		p.width = p.change(1, Pause)
	}
	if paused || p.width == 1 && !backlog {
		p.meter.forget()
		return
	}
	if own, idle, known := p.meter.read(span); known {
		p.width = p.decide(now, measurement{float64(bytes) / span.Seconds(), own, idle}, backlog)
	}
}

// decide returns how many goroutines there are to be.
func (p *spreadPolicy) decide(now clock.Time, m measurement, backlog bool) int {
	switch {
	case p.coresTaken(m):
		return p.fail(now, 1, CoresNeeded)
	case p.trial > 0:
		return p.judge(now, m)
	case p.tooMany(m.rate):
		return p.change(p.width-1, LessToDo)
	case backlog && m.idle >= minIdle && p.mayBegin(now):
		return p.begin(m, LargeBatchesWait)
	}
	return p.width
}

// coresTaken reports whether other programs now use the cores that were idle
// before: what this process uses and what is idle do not add up to them any more.
func (p *spreadPolicy) coresTaken(m measurement) bool {
	alone := p.before[0]
	return p.width > 1 && m.own+m.idle < alone.own+float64(p.width-1)-0.5
}
