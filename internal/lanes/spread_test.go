package lanes

import (
	"errors"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// largeBatches is a simulated machine on which large batches of one lane arrive.
type largeBatches struct {
	simulation
	cores  float64
	others float64 // cores that other programs want
	demand float64 // bytes per second that arrive
	single float64 // bytes per second that one core processes
	serial float64 // bytes per second that any number of cores processes; 0: no limit
	extra  float64 // by how much a byte costs more with several cores
}

// A simulation records what has happened on a simulated machine.
type simulation struct {
	now       clock.Time
	idle      time.Duration
	own       time.Duration
	decisions []decision
	err       error // of usage
}

// pass lets time pass in which this process used own cores, and idle cores were
// idle.
func (s *simulation) pass(d time.Duration, own, idle float64) {
	s.now = s.now.Add(d)
	s.own += time.Duration(own * d.Seconds() * 1e9)
	s.idle += time.Duration(max(0, idle) * d.Seconds() * 1e9)
}

func (s *simulation) usage() (cpu.Times, error) {
	return cpu.Times{Idle: s.idle / 1e7 * 1e7, Own: s.own}, s.err
}

func (s *simulation) onDecision(d decision) { s.decisions = append(s.decisions, d) }

// stats counts the decisions.
func (s *simulation) stats() Stats {
	var c Counter
	for _, d := range s.decisions {
		c.note(d)
	}
	return c.Stats()
}

// numbers returns the number of each decision.
func (s *simulation) numbers() (list []int) {
	for _, d := range s.decisions {
		list = append(list, d.number)
	}
	return list
}

func (m *largeBatches) newPolicy(max int) *spreadPolicy {
	return newSpreadPolicy(max, m.usage, m.onDecision)
}

// run lets time pass, and returns the widths at the end of each second.
func (m *largeBatches) run(p *spreadPolicy, d time.Duration) (widths []int) {
	const batch = 60000
	active := 0
	for end := m.now.Add(d); m.now < end; {
		before := m.now
		rate, cores := m.rate(p.width)
		step := time.Second
		if rate > 0 {
			step = time.Duration(batch / rate * 1e9)
		}
		m.pass(step, cores, m.cores-cores-m.others)
		if rate > 0 {
			_, wake := p.Note(BatchInfo{Bytes: batch, At: m.now}, rate < m.demand, active)
			if wake {
				active++
			}
			active = min(active, p.width-1)
		}
		if int64(m.now)/1e9 != int64(before)/1e9 {
			widths = append(widths, p.width)
		}
	}
	return widths
}

// rate returns the rate at a width, and the cores that it takes: no more than
// there are, and no more than a fair share beside other programs.
func (m *largeBatches) rate(width int) (rate, cores float64) {
	cores = float64(width)
	if free := m.cores - m.others; cores > free {
		cores = max(free, m.cores*cores/(cores+m.others))
	}
	each := m.single
	if width > 1 {
		each /= 1 + m.extra
	}
	rate = cores * each
	if m.serial > 0 {
		rate = min(rate, m.serial)
	}
	if m.demand < rate {
		rate = m.demand
	}
	return rate, rate / each
}

func part(list []int, width int) (n float64) {
	for _, x := range list {
		if x == width {
			n++
		}
	}
	return n / float64(len(list))
}

// A lane is spread exactly where that raises the rate: where one core is too slow,
// other cores are idle, and nothing else is the limit.
func TestSpread(t *testing.T) {
	const gigabyte = 1e9
	for name, c := range map[string]struct {
		largeBatches
		want int // width, most of the time
	}{
		"nothing to do":           {largeBatches{cores: 8, single: gigabyte}, 1},
		"one core suffices":       {largeBatches{cores: 8, single: gigabyte, demand: 0.9 * gigabyte}, 1},
		"two are idle":            {largeBatches{cores: 2, single: gigabyte, demand: 9 * gigabyte, extra: 0.1}, 2},
		"four of eight":           {largeBatches{cores: 8, others: 4, single: gigabyte, demand: 9 * gigabyte, extra: 0.1}, 4},
		"the other core is taken": {largeBatches{cores: 2, others: 1, single: gigabyte, demand: 9 * gigabyte}, 1},
		"all programs want both":  {largeBatches{cores: 2, others: 6, single: gigabyte, demand: 9 * gigabyte}, 1},
		"the socket is as slow":   {largeBatches{cores: 8, single: gigabyte, demand: 9 * gigabyte, serial: gigabyte}, 1},
		"two saturate the socket": {largeBatches{cores: 8, single: gigabyte, demand: 9 * gigabyte, serial: 2 * gigabyte}, 2},
		"too costly":              {largeBatches{cores: 8, single: gigabyte, demand: 9 * gigabyte, extra: 0.5}, 1},
		"not known":               {largeBatches{cores: 8, single: gigabyte, demand: 9 * gigabyte, simulation: simulation{err: errors.New("no /proc")}}, 1},
		"a slow processor":        {largeBatches{cores: 4, others: 2, single: gigabyte / 50, demand: 9 * gigabyte, extra: 0.1}, 2},
	} {
		m := c.largeBatches
		p := m.newPolicy(4)
		widths := m.run(p, 60*time.Second)
		if got := part(widths[len(widths)/4:], c.want); got < 0.9 {
			t.Errorf("%s: over %d goroutines only %.0f %% of the time: %v", name, c.want, 100*got, widths)
		}
	}
}

// A trial that failed is repeated, each time later.
func TestSpreadWaits(t *testing.T) {
	m := &largeBatches{cores: 8, single: 1e9, demand: 9e9, serial: 1e9}
	p := m.newPolicy(4)
	m.run(p, 2*time.Minute)
	trials := 0
	for _, width := range m.numbers() {
		if width == 2 {
			trials++
		}
	}
	if trials < 4 || trials > 8 {
		t.Errorf("%d trials in two minutes", trials)
	}
	if s := m.stats(); s.Tried != uint64(trials) || s.Kept != 0 || s.Failed+1 < s.Tried || s.Reasons[NotWorthIt] != s.Failed {
		t.Errorf("%d trials, and counted: %+v", trials, s)
	}
}

// Other programs that come get the cores back; when they end, the lane is spread
// again.
func TestSpreadYields(t *testing.T) {
	m := &largeBatches{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.newPolicy(2)
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Fatal("not spread over two")
	}
	m.others = 2
	m.run(p, 500*time.Millisecond)
	if p.width != 1 {
		t.Error("other programs need the cores, and do not get them")
	}
	m.run(p, 30*time.Second)
	m.others = 0
	m.run(p, 70*time.Second)
	if p.width != 2 {
		t.Error("not spread again")
	}
	m.demand = 0.5e9
	m.run(p, time.Second)
	if p.width != 1 {
		t.Error("spread over two, and one core suffices")
	}
	s := m.stats()
	if s.Kept != 2 || s.Failed != s.Tried-2 || s.Reasons[CoresNeeded] == 0 || s.Reasons[LessToDo] != 1 {
		t.Errorf("counted: %+v", s)
	}
}

// A review does not include a pause, however long it is.
func TestSpreadForgets(t *testing.T) {
	m := &largeBatches{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.newPolicy(2)
	m.run(p, 5*time.Second)
	m.now = m.now.Add(time.Hour)
	m.idle += 2 * time.Hour
	m.run(p, 50*time.Millisecond)
	if p.width != 1 {
		t.Error("spread as it was an hour ago")
	}
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Error("not spread after a pause")
	}
	if s := m.stats(); s.Kept != 2 || s.Failed != 0 || s.Reasons[Pause] != 1 {
		t.Errorf("counted: %+v", s)
	}
}

// Only large batches that arrive during a backlog are shared.
func TestWhatIsShared(t *testing.T) {
	m := &largeBatches{}
	p := m.newPolicy(4)
	p.width = 3
	for i, c := range []struct {
		size        int
		ready       bool
		active      int
		share, wake bool
	}{
		{60000, false, 2, false, false},
		{60000, true, 2, false, false}, // the first of a backlog
		{60000, true, 2, true, false},
		{60000, true, 0, false, false}, // with no follower
		{60000, true, 0, true, true},
		{60000, true, 1, true, true},
		{60000, true, 2, true, false},
		{1000, true, 2, false, false},
		{largeBatch, true, 2, true, false},
		{60000, false, 2, false, false},
	} {
		share, wake := p.Note(BatchInfo{Bytes: c.size, At: 1}, c.ready, c.active)
		if share != c.share || wake != c.wake {
			t.Errorf("batch %d: got share %v, wake %v; want %v, %v", i, share, wake, c.share, c.wake)
		}
	}
	p.streak = 9
	p.RanEmpty()
	if share, _ := p.Note(BatchInfo{Bytes: 60000, At: 1}, true, 2); share {
		t.Error("shared after a moment without a backlog")
	}
}
