package lanes

import (
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// What a trial brings is seen in its second review: in the first it had to begin.
// The wait after one that fails is short again once one was worth it.
func TestTrial(t *testing.T) {
	c := &course{now: clock.Time(time.Hour)}
	p := newTrials(3, c.usage, c.tell)
	one, two := experience{rate: 100, own: 1, idle: 1}, experience{rate: 190, own: 2}
	begin := func() {
		t.Helper()
		if p.width = p.begin(one, "a test"); p.width != 2 {
			t.Fatalf("%d are tried", p.width)
		}
		if p.width = p.judge(c.now, experience{}); p.width != 2 {
			t.Fatal("judged before it began")
		}
	}
	fail := func(wait time.Duration) {
		t.Helper()
		begin()
		if p.width = p.judge(c.now, one); p.width != 1 {
			t.Error("kept, and it brought nothing")
		}
		if p.mayBegin(c.now.Add(wait-1)) || !p.mayBegin(c.now.Add(wait)) {
			t.Errorf("the next trial after %v, not %v", p.retry.Sub(c.now), wait)
		}
	}
	fail(shortestWait)
	fail(2 * shortestWait)
	begin()
	if p.width = p.judge(c.now, two); p.width != 2 || p.trial != 0 {
		t.Error("given up, and it was worth it")
	}
	p.width = 1
	fail(shortestWait)
	for range 20 {
		p.fail(c.now, 1, "a test")
	}
	if wait := p.retry.Sub(c.now); wait != longestWait {
		t.Errorf("a wait of %v", wait)
	}
}

// As long as there is no backlog nobody asks how the processors are used, which
// takes some time.
func TestNoReadingWithoutBacklog(t *testing.T) {
	m := &imagined{cores: 8, single: 1e9, demand: 0.9e9}
	asked := 0
	p := newPolicy(4, func() (cpu.Times, error) { asked++; return m.usage() }, m.tell)
	n := newMany()
	n.demand = 9e6
	b := newBreadth(4, func() (cpu.Times, error) { asked++; return n.usage() }, n.tell)
	m.run(&p, 2*time.Second)
	n.run(&b, 2*time.Second)
	if asked > 0 {
		t.Errorf("asked %d times", asked)
	}
}
