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
	idle      time.Duration // idle time of all cores so far
	own       time.Duration // processor time that this process has used so far
	decisions []decision
	err       error // of usage
}

// pass advances the time by d. During d, this process used own cores, and idle
// cores were idle.
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

// run simulates the time d, and returns the width at the end of each second.
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
// exist, and no more than a fair share when other programs compete.
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

// part returns the share of the widths in list that are equal to width.
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
			t.Errorf("%s: width %d for %.0f %% of the time, want at least 90 %%: %v", name, c.want, 100*got, widths)
		}
	}
}

// A failed trial is repeated, after a wait that grows each time.
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
		t.Errorf("%d trials in two minutes, want 4 to 8", trials)
	}
	if s := m.stats(); s.Tried != uint64(trials) || s.Kept != 0 || s.Failed+1 < s.Tried || s.Reasons[NotWorthIt] != s.Failed {
		t.Errorf("got stats %+v after %d trials, want all of them failed as not worth it", s, trials)
	}
}

// The lane releases cores when other programs start, and is spread again when they
// end.
func TestSpreadYields(t *testing.T) {
	m := &largeBatches{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.newPolicy(2)
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Fatalf("width %d under load, want 2", p.width)
	}
	m.others = 2
	m.run(p, 500*time.Millisecond)
	if p.width != 1 {
		t.Errorf("width %d while other programs need the cores, want 1", p.width)
	}
	m.run(p, 30*time.Second)
	m.others = 0
	m.run(p, 70*time.Second)
	if p.width != 2 {
		t.Errorf("width %d after the other programs ended, want 2", p.width)
	}
	m.demand = 0.5e9
	m.run(p, time.Second)
	if p.width != 1 {
		t.Errorf("width %d where one core suffices, want 1", p.width)
	}
	s := m.stats()
	if s.Kept != 2 || s.Failed != s.Tried-2 || s.Reasons[CoresNeeded] == 0 || s.Reasons[LessToDo] != 1 {
		t.Errorf("got stats %+v, want 2 trials kept, the others failed, cores needed at least once, less to do once", s)
	}
}

// A pause ends the spread, and reviews ignore the time of the pause.
func TestSpreadForgets(t *testing.T) {
	m := &largeBatches{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.newPolicy(2)
	m.run(p, 5*time.Second)
	m.now = m.now.Add(time.Hour)
	m.idle += 2 * time.Hour
	m.run(p, 50*time.Millisecond)
	if p.width != 1 {
		t.Errorf("width %d right after a pause, want 1", p.width)
	}
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Errorf("width %d five seconds after a pause, want 2", p.width)
	}
	if s := m.stats(); s.Kept != 2 || s.Failed != 0 || s.Reasons[Pause] != 1 {
		t.Errorf("got stats %+v, want 2 kept, 0 failed, 1 pause", s)
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
		{60000, true, 0, false, false}, // no follower is awake
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
		t.Error("a batch is shared right after a read that found nothing")
	}
}
