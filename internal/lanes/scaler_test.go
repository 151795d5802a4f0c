package lanes

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// many is an imagined machine on which there are packets of several flows.
type many struct {
	course
	cores  float64
	others float64 // cores that others want
	demand float64 // bytes a second that there are to carry
	single float64 // bytes a second that one lane carries
	most   float64 // bytes a second that any number of them carries; 0: no limit
	extra  float64 // what a byte costs more with several
	size   float64 // of a batch
	items  float64 // in a batch
	flows  int

	sum  struct{ reads, ready, bytes float64 }
	stop error // of the next arrangement
}

func newMany() *many {
	return &many{cores: 8, demand: 100e6, single: 10e6, size: 4000, items: 40, flows: 40, course: course{now: 1}}
}

func (m *many) breadth(most int) *breadth {
	p := newBreadth(most, m.usage, m.tell)
	return &p
}

// run lets time pass, and returns how many queues there were at the end of each
// second.
func (m *many) run(p *breadth, d time.Duration) (widths []int) {
	for end := m.now.Add(d); m.now < end; {
		const step = reviewInterval
		limit := m.single * float64(p.width)
		if m.most > 0 {
			limit = min(limit, m.most)
		}
		rate := min(m.demand, limit)
		cores := rate / m.single
		if p.width > 1 {
			cores *= 1 + m.extra
		}
		m.pass(step, cores, m.cores-cores-m.others)
		m.sum.bytes += rate * step.Seconds()
		m.sum.reads += rate * step.Seconds() / m.size
		if rate < m.demand {
			m.sum.ready += rate * step.Seconds() / m.size
		}
		if rate > 0 {
			if n := p.review(m.now, m.totals()); n != p.width {
				if m.stop != nil {
					n = p.width
				}
				p.settle(m.now, m.totals(), n, m.stop)
			}
		}
		if int64(m.now)/1e9 != int64(m.now.Add(-step))/1e9 {
			widths = append(widths, p.width)
		}
	}
	return widths
}

func (m *many) totals() totals {
	return totals{reads: uint64(m.sum.reads), ready: uint64(m.sum.ready), bytes: uint64(m.sum.bytes), items: uint64(m.sum.reads * m.items), flows: m.flows}
}

func TestBreadthGrowsWhereItPays(t *testing.T) {
	m := newMany()
	p := m.breadth(4)
	if got := m.run(p, 10*time.Second); got[len(got)-1] != 4 {
		t.Errorf("%v, %v", got, m.told)
	}
	// Each is told when it is tried, and when it is kept.
	if want := []int{2, 2, 3, 3, 4, 4}; !slices.Equal(m.told, want) {
		t.Errorf("told %v", m.told)
	}
	// What is asked for is half of it, for a short while and for long.
	m.demand = 15e6
	if got := m.run(p, 5*time.Second); slices.Min(got) != 4 {
		t.Errorf("given up at once: %v", got)
	}
	m.demand = 100e6
	m.run(p, time.Second)
	m.demand = 15e6
	if got := m.run(p, 40*time.Second); got[8] != 4 || got[len(got)-1] != 2 {
		t.Errorf("%v", got)
	}
	m.demand = 1e5
	if got := m.run(p, 20*time.Second); got[len(got)-1] != 1 {
		t.Errorf("%v", got)
	}
	m.demand = 100e6 // and again
	if got := m.run(p, 5*time.Second); got[len(got)-1] != 4 {
		t.Errorf("%v", got)
	}
	m = newMany() // a read brings many trains of many peers, each of them short
	m.size, m.items, m.single, m.demand = 30000, 32, 100e6, 1e9
	if got := m.run(m.breadth(3), 5*time.Second); got[len(got)-1] != 3 {
		t.Errorf("%v", got)
	}
}

func TestBreadthStaysOne(t *testing.T) {
	for name, change := range map[string]func(*many){
		"one flow":      func(m *many) { m.flows = 1 },
		"large batches": func(m *many) { m.size, m.items = 50000, 1 },
		"no idle core":  func(m *many) { m.others = 6.5 },
		"one suffices":  func(m *many) { m.demand = 9e6 },
		"few packets":   func(m *many) { m.single = 3e6 },
		"not known":     func(m *many) { m.err = errors.New("no /proc") },
	} {
		m := newMany()
		change(m)
		if got := m.run(m.breadth(8), 20*time.Second); slices.Max(got) != 1 || len(m.told) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A trial that brings nothing, or costs too much, is given up, and the next one
// waits longer each time.
func TestBreadthGivesUp(t *testing.T) {
	for name, change := range map[string]func(*many){
		"nothing": func(m *many) { m.most = 10.5e6 },
		"dear":    func(m *many) { m.extra = 0.4 },
	} {
		m := newMany()
		change(m)
		p := m.breadth(8)
		if m.run(p, 5*time.Minute); p.width != 1 || slices.Max(m.told) != 2 {
			t.Errorf("%s: %d", name, p.width)
		}
		if trials := len(m.told) / 2; trials < 8 || trials > 12 {
			t.Errorf("%s: %d trials in 5 minutes", name, trials)
		}
	}
	m := newMany()
	m.extra = 0.25 // dearer, but by less
	if got := m.run(m.breadth(2), 5*time.Second); got[len(got)-1] != 2 {
		t.Errorf("%v", got)
	}
}

// A trial that a pause interrupts proves nothing.
func TestBreadthPause(t *testing.T) {
	m := newMany()
	p := m.breadth(8)
	for p.width == 1 {
		m.run(p, reviewInterval)
	}
	m.demand = 0
	m.run(p, time.Second)
	m.demand = 100e6
	if m.run(p, reviewInterval); p.width != 1 || p.trial != 0 {
		t.Errorf("%d queues after a pause, trial %d", p.width, p.trial)
	}
	if got := m.run(p, 10*time.Second); got[len(got)-1] != 8 {
		t.Errorf("%v", got)
	}
}

// Where there can be no more, no more are tried for a minute; then they are.
func TestBreadthImpossible(t *testing.T) {
	m := newMany()
	m.stop = errors.New("no more")
	p := m.breadth(8)
	if m.run(p, time.Minute); p.width != 1 || p.trial != 0 || len(m.told) != 2 {
		t.Errorf("%d, told %v", p.width, m.told)
	}
	m.stop = nil
	if m.run(p, 20*time.Second); p.width != 8 {
		t.Errorf("%d queues after it has become possible", p.width)
	}
}

// A test may ask for any number; there are as many as there can be.
func TestBreadthForced(t *testing.T) {
	p := newBreadth(4, nil, nil)
	want := 0
	p.forced = func() int { return want }
	for want = range 6 {
		if got := p.review(1, totals{}); got != min(max(want, 1), 4) {
			t.Errorf("%d for %d", got, want)
		}
	}
}
