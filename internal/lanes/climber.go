package lanes

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// reviewInterval is the time between two reviews. It is long enough to measure
	// idle time, which the kernel counts in steps of 10 ms.
	reviewInterval = 100 * time.Millisecond

	// One more is tried while at least minIdle of a core is idle. It is kept if the
	// rate is at least minGain times what it was just before the trial, and the
	// processor time per byte at most maxCost times.
	minIdle = 0.7
	minGain = 1.1
	maxCost = 1.3

	// One fewer suffices when the rate is below this part of the rate with one
	// fewer.
	fewerSuffice = 0.9

	// After a trial that failed the next one waits, each time twice as long.
	minWait = time.Second
	maxWait = time.Minute
)

// A hillClimber finds out how many of something are worth their cost: goroutines
// of a lane (spreadPolicy), or queues of a direction (queueScaler). Other programs
// may need the cores more than this one does, and the limit may be something else
// than a core. So it tries one more, and keeps it only if that is worth it. It
// compares rates before and after, and assumes nothing about how long anything
// takes.
//
// Methods that change the number return what it is to be.
type hillClimber struct {
	meter      coreMeter
	onDecision func(decision) // called for every decision

	max   int
	width int // how many there are

	trial     int           // reviews until the trial ends; 0: there is none
	before    []measurement // at index n-1: with n, when one more was tried
	nextTrial clock.Time    // earliest time of the next trial
	wait      time.Duration // after the next trial that fails
}

// A measurement is the result of one review.
type measurement struct {
	rate      float64 // bytes per second
	own, idle float64 // cores that this process used, and that were idle
}

func newHillClimber(max int, usage func() (cpu.Times, error), onDecision func(decision)) hillClimber {
	return hillClimber{meter: coreMeter{usage: usage}, onDecision: onDecision, max: max, width: 1, before: make([]measurement, max), wait: minWait}
}

// mayBegin reports whether one more may be tried, if there is a reason to.
func (c *hillClimber) mayBegin(now clock.Time) bool { return c.width < c.max && now >= c.nextTrial }

// begin begins a trial of one more.
func (c *hillClimber) begin(m measurement, why Reason) int {
	c.before[c.width-1] = m
	c.trial = 2
	return c.report(decision{number: c.width + 1, reason: why, trial: trialBegins})
}

// judge ends the trial in its second review. The first one still covers the time
// of the change.
func (c *hillClimber) judge(now clock.Time, m measurement) int {
	if c.trial > 1 {
		c.trial--
		return c.width
	}
	before := c.before[c.width-2]
	if m.rate < minGain*before.rate || m.own*before.rate > maxCost*before.own*m.rate {
		return c.fail(now, c.width-1, NotWorthIt)
	}
	c.trial, c.wait = 0, minWait
	return c.report(decision{number: c.width, reason: WorthIt, trial: trialKept})
}

// fail ends the trial, if there is one, and postpones the next.
func (c *hillClimber) fail(now clock.Time, width int, why Reason) int {
	c.nextTrial = now.Add(c.wait)
	c.wait = min(2*c.wait, maxWait)
	return c.change(width, why)
}

// change decides on another width. A trial in progress fails.
func (c *hillClimber) change(width int, why Reason) int {
	return c.end(decision{number: width, reason: why})
}

// end makes a decision that ends the trial, if there is one.
func (c *hillClimber) end(d decision) int {
	if c.trial > 0 {
		c.trial, d.trial = 0, trialFailed
	}
	return c.report(d)
}

func (c *hillClimber) report(d decision) int {
	c.onDecision(d)
	return d.number
}

// tooMany reports whether one fewer would be enough for this rate.
func (c *hillClimber) tooMany(rate float64) bool {
	return c.width > 1 && rate < fewerSuffice*c.before[c.width-2].rate
}
