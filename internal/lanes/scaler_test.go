package lanes

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// smallPackets is a simulated machine on which small packets of several flows
// arrive.
type smallPackets struct {
	simulation
	cores  float64
	others float64 // cores that other programs want
	demand float64 // bytes per second that arrive
	single float64 // bytes per second that one lane processes
	limit  float64 // bytes per second that any number of lanes processes; 0: no limit
	extra  float64 // by how much a byte costs more with several lanes
	size   float64 // of a batch
	items  float64 // in a batch
	flows  int

	sum    struct{ reads, ready, bytes float64 }
	refuse error // of the next change
}

func newSmallPackets() *smallPackets {
	return &smallPackets{cores: 8, demand: 100e6, single: 10e6, size: 4000, items: 40, flows: 40, simulation: simulation{now: 1}}
}

func (m *smallPackets) scaler(max int) *queueScaler {
	return newQueueScaler(max, m.usage, m.onDecision)
}

// run simulates the time d, and returns the number of queues at the end of each
// second.
func (m *smallPackets) run(s *queueScaler, d time.Duration) (widths []int) {
	for end := m.now.Add(d); m.now < end; {
		const step = reviewInterval
		limit := m.single * float64(s.width)
		if m.limit > 0 {
			limit = min(limit, m.limit)
		}
		rate := min(m.demand, limit)
		cores := rate / m.single
		if s.width > 1 {
			cores *= 1 + m.extra
		}
		m.pass(step, cores, m.cores-cores-m.others)
		m.sum.bytes += rate * step.Seconds()
		m.sum.reads += rate * step.Seconds() / m.size
		if rate < m.demand {
			m.sum.ready += rate * step.Seconds() / m.size
		}
		if rate > 0 {
			if n := s.Review(m.now, m.totals()); n != s.width {
				if m.refuse != nil {
					n = s.width
				}
				s.Resized(m.now, m.totals(), n, m.refuse)
			}
		}
		if int64(m.now)/1e9 != int64(m.now.Add(-step))/1e9 {
			widths = append(widths, s.width)
		}
	}
	return widths
}

func (m *smallPackets) totals() Totals {
	return Totals{Reads: uint64(m.sum.reads), Ready: uint64(m.sum.ready), Bytes: uint64(m.sum.bytes), Items: uint64(m.sum.reads * m.items), Flows: m.flows}
}

func TestScalerGrowsWhereItPays(t *testing.T) {
	m := newSmallPackets()
	s := m.scaler(4)
	if got := m.run(s, 10*time.Second); got[len(got)-1] != 4 {
		t.Errorf("numbers of queues %v, want 4 at the end; decisions %v", got, m.decisions)
	}
	// Each number is reported when it is tried, and when it is kept.
	if want := []int{2, 2, 3, 3, 4, 4}; !slices.Equal(m.numbers(), want) {
		t.Errorf("decisions %v, want the numbers %v", m.decisions, want)
	}
	if s := m.stats(); s.Tried != 3 || s.Kept != 3 || s.Failed != 0 || s.Reasons[SmallPacketsWait] != 3 || s.Reasons[WorthIt] != 3 {
		t.Errorf("counted: %+v", s)
	}
	// The demand drops, at first for a short time, and then for a long time.
	m.demand = 15e6
	if got := m.run(s, 5*time.Second); slices.Min(got) != 4 {
		t.Errorf("numbers of queues %v soon after the demand dropped, want 4", got)
	}
	m.demand = 100e6
	m.run(s, time.Second)
	m.demand = 15e6
	if got := m.run(s, 40*time.Second); got[8] != 4 || got[len(got)-1] != 2 {
		t.Errorf("%v", got)
	}
	m.demand = 1e5
	if got := m.run(s, 20*time.Second); got[len(got)-1] != 1 {
		t.Errorf("%v", got)
	}
	m.demand = 100e6 // rises again
	if got := m.run(s, 5*time.Second); got[len(got)-1] != 4 {
		t.Errorf("%v", got)
	}
	m = newSmallPackets() // each read returns many short trains of many peers
	m.size, m.items, m.single, m.demand = 30000, 32, 100e6, 1e9
	if got := m.run(m.scaler(3), 5*time.Second); got[len(got)-1] != 3 {
		t.Errorf("%v", got)
	}
}

func TestScalerStaysOne(t *testing.T) {
	for name, change := range map[string]func(*smallPackets){
		"one flow":      func(m *smallPackets) { m.flows = 1 },
		"large batches": func(m *smallPackets) { m.size, m.items = 50000, 1 },
		"no idle core":  func(m *smallPackets) { m.others = 6.5 },
		"one suffices":  func(m *smallPackets) { m.demand = 9e6 },
		"few packets":   func(m *smallPackets) { m.single = 3e6 },
		"not known":     func(m *smallPackets) { m.err = errors.New("no /proc") },
	} {
		m := newSmallPackets()
		change(m)
		if got := m.run(m.scaler(8), 20*time.Second); slices.Max(got) != 1 || len(m.decisions) > 0 {
			t.Errorf("%s: numbers of queues %v, decisions %v; want 1 throughout, none", name, got, m.decisions)
		}
	}
}

// A trial that gains nothing or costs too much is reversed, and the wait before the
// next one grows each time.
func TestScalerGivesUp(t *testing.T) {
	for name, change := range map[string]func(*smallPackets){
		"nothing": func(m *smallPackets) { m.limit = 10.5e6 },
		"costly":  func(m *smallPackets) { m.extra = 0.4 },
	} {
		m := newSmallPackets()
		change(m)
		s := m.scaler(8)
		if m.run(s, 5*time.Minute); s.width != 1 || slices.Max(m.numbers()) != 2 {
			t.Errorf("%s: %d queues, numbers tried %v; want 1, at most 2", name, s.width, m.numbers())
		}
		if trials := len(m.decisions) / 2; trials < 8 || trials > 12 {
			t.Errorf("%s: %d trials in 5 minutes, want 8 to 12", name, trials)
		}
	}
	m := newSmallPackets()
	m.extra = 0.25 // costs more, but not too much
	if got := m.run(m.scaler(2), 5*time.Second); got[len(got)-1] != 2 {
		t.Errorf("%v", got)
	}
}

// A trial that a pause interrupts fails.
func TestScalerPause(t *testing.T) {
	m := newSmallPackets()
	s := m.scaler(8)
	for s.width == 1 {
		m.run(s, reviewInterval)
	}
	m.demand = 0
	m.run(s, time.Second)
	m.demand = 100e6
	if m.run(s, reviewInterval); s.width != 1 || s.trial != 0 {
		t.Errorf("%d queues, trial %d after a pause; want 1, 0", s.width, s.trial)
	}
	if s := m.stats(); s.Tried != 1 || s.Failed != 1 || s.Reasons[Pause] != 1 {
		t.Errorf("got stats %+v, want 1 tried, 1 failed, 1 pause", s)
	}
	if got := m.run(s, 10*time.Second); got[len(got)-1] != 8 {
		t.Errorf("%v", got)
	}
}

// When the system refuses another queue, none is tried for a minute.
func TestScalerImpossible(t *testing.T) {
	m := newSmallPackets()
	m.refuse = errors.New("no more")
	s := m.scaler(8)
	if m.run(s, time.Minute); s.width != 1 || s.trial != 0 || len(m.decisions) != 2 {
		t.Errorf("width %d, decisions %v, want width 1 and two decisions", s.width, m.decisions)
	}
	if s := m.stats(); s.Tried != 1 || s.Failed != 1 || s.Reasons[Refused] != 1 {
		t.Errorf("got stats %+v, want 1 tried, 1 failed, 1 refused", s)
	}
	m.refuse = nil
	if m.run(s, 20*time.Second); s.width != 8 {
		t.Errorf("%d queues once the system permits more, want 8", s.width)
	}
}
