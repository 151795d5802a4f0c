package lanes

import (
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// A trial is judged in its second review, because the first still covers the time
// of the change. Failed trials double the wait before the next one; a successful
// trial resets it.
func TestTrial(t *testing.T) {
	s := &simulation{now: clock.Time(time.Hour)}
	c := newHillClimber(3, s.usage, s.onDecision)
	one, two := measurement{rate: 100, own: 1, idle: 1}, measurement{rate: 190, own: 2}
	begin := func() {
		t.Helper()
		if c.width = c.begin(one, LargeBatchesWait); c.width != 2 {
			t.Fatalf("the trial has width %d, want 2", c.width)
		}
		if c.width = c.judge(s.now, measurement{}); c.width != 2 {
			t.Fatalf("the first review of the trial returned width %d, want 2", c.width)
		}
	}
	fail := func(wait time.Duration) {
		t.Helper()
		begin()
		if c.width = c.judge(s.now, one); c.width != 1 {
			t.Errorf("width %d after a trial that gained nothing, want 1", c.width)
		}
		if c.mayBegin(s.now.Add(wait-1)) || !c.mayBegin(s.now.Add(wait)) {
			t.Errorf("the next trial may begin after %v, want %v", c.nextTrial.Sub(s.now), wait)
		}
	}
	fail(minWait)
	fail(2 * minWait)
	begin()
	if c.width = c.judge(s.now, two); c.width != 2 || c.trial != 0 {
		t.Errorf("width %d, trial %d after a successful trial, want width 2, trial 0", c.width, c.trial)
	}
	c.width = 1
	fail(minWait)
	for range 20 {
		c.fail(s.now, 1, CoresNeeded) // with no trial in progress
	}
	if wait := c.nextTrial.Sub(s.now); wait != maxWait {
		t.Errorf("the next trial may begin after %v, want the maximum, %v", wait, maxWait)
	}
	if s := s.stats(); s.Tried != 4 || s.Kept != 1 || s.Failed != 3 || s.Reasons[NotWorthIt] != 3 || s.Reasons[CoresNeeded] != 20 {
		t.Errorf("got stats %+v, want 4 tried, 1 kept, 3 failed (not worth it: 3), cores needed: 20", s)
	}
}

// Without a backlog, processor usage is not read, because reading it takes time.
func TestNoReadingWithoutBacklog(t *testing.T) {
	large := &largeBatches{cores: 8, single: 1e9, demand: 0.9e9}
	readings := 0
	p := newSpreadPolicy(4, func() (cpu.Times, error) { readings++; return large.usage() }, large.onDecision)
	small := newSmallPackets()
	small.demand = 9e6
	s := newQueueScaler(4, func() (cpu.Times, error) { readings++; return small.usage() }, small.onDecision)
	large.run(p, 2*time.Second)
	small.run(s, 2*time.Second)
	if readings > 0 {
		t.Errorf("usage was read %d times without a backlog, want 0", readings)
	}
}
