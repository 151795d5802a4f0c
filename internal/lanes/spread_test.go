package lanes

import (
	"errors"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// imagined is a machine on which a lane has much to do, or not.
type imagined struct {
	course
	cores  float64
	others float64 // cores that others want
	demand float64 // bytes a second that there are to carry
	single float64 // bytes a second that one core carries
	serial float64 // the most that any number of cores carries; 0: no limit
	extra  float64 // what a byte costs more with several
}

// course is what became of an imagined machine so far.
type course struct {
	now  clock.Time
	idle time.Duration
	own  time.Duration
	told []int
	err  error // of usage
}

// pass lets time pass in which so many cores were used, and so many idle.
func (c *course) pass(d time.Duration, own, idle float64) {
	c.now = c.now.Add(d)
	c.own += time.Duration(own * d.Seconds() * 1e9)
	c.idle += time.Duration(max(0, idle) * d.Seconds() * 1e9)
}

func (c *course) usage() (cpu.Times, error) {
	return cpu.Times{Idle: c.idle / 1e7 * 1e7, Own: c.own}, c.err
}

func (c *course) tell(width int, _ string) { c.told = append(c.told, width) }

func (m *imagined) policy(most int) *policy {
	p := newPolicy(most, m.usage, m.tell)
	return &p
}

// run lets time pass, and returns the widths at the end of each second.
func (m *imagined) run(p *policy, d time.Duration) (widths []int) {
	const batch = 60000
	awake := 0
	for end := m.now.Add(d); m.now < end; {
		before := m.now
		rate, cores := m.moved(p.width)
		step := time.Second
		if rate > 0 {
			step = time.Duration(batch / rate * 1e9)
		}
		m.pass(step, cores, m.cores-cores-m.others)
		if rate > 0 {
			_, more := p.note(BatchInfo{Bytes: batch, At: m.now}, rate < m.demand, awake)
			if more {
				awake++
			}
			awake = min(awake, p.width-1)
		}
		if int64(m.now)/1e9 != int64(before)/1e9 {
			widths = append(widths, p.width)
		}
	}
	return widths
}

// moved is the rate at a width, and the cores that it takes: no more than are
// there and than are our fair part beside others.
func (m *imagined) moved(width int) (rate, cores float64) {
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

// A way is spread exactly where that carries more: where there is more to do
// than one core can, and cores are idle, and something comes of it.
func TestPolicy(t *testing.T) {
	const gigabyte = 1e9
	for name, c := range map[string]struct {
		imagined
		want int // width, most of the time
	}{
		"nothing to do":           {imagined{cores: 8, single: gigabyte}, 1},
		"one core suffices":       {imagined{cores: 8, single: gigabyte, demand: 0.9 * gigabyte}, 1},
		"two are idle":            {imagined{cores: 2, single: gigabyte, demand: 9 * gigabyte, extra: 0.1}, 2},
		"four of eight":           {imagined{cores: 8, others: 4, single: gigabyte, demand: 9 * gigabyte, extra: 0.1}, 4},
		"the other core is taken": {imagined{cores: 2, others: 1, single: gigabyte, demand: 9 * gigabyte}, 1},
		"everybody wants both":    {imagined{cores: 2, others: 6, single: gigabyte, demand: 9 * gigabyte}, 1},
		"the socket is as slow":   {imagined{cores: 8, single: gigabyte, demand: 9 * gigabyte, serial: gigabyte}, 1},
		"two saturate the socket": {imagined{cores: 8, single: gigabyte, demand: 9 * gigabyte, serial: 2 * gigabyte}, 2},
		"too dear":                {imagined{cores: 8, single: gigabyte, demand: 9 * gigabyte, extra: 0.5}, 1},
		"not known":               {imagined{cores: 8, single: gigabyte, demand: 9 * gigabyte, course: course{err: errors.New("no /proc")}}, 1},
		"a slow processor":        {imagined{cores: 4, others: 2, single: gigabyte / 50, demand: 9 * gigabyte, extra: 0.1}, 2},
	} {
		m := c.imagined
		p := m.policy(4)
		widths := m.run(p, 60*time.Second)
		if got := part(widths[len(widths)/4:], c.want); got < 0.9 {
			t.Errorf("%s: over %d goroutines only %.0f %% of the time: %v", name, c.want, 100*got, widths)
		}
	}
}

// What fails is tried again and again, but ever more rarely.
func TestPolicyWaits(t *testing.T) {
	m := &imagined{cores: 8, single: 1e9, demand: 9e9, serial: 1e9}
	p := m.policy(4)
	m.run(p, 2*time.Minute)
	trials := 0
	for _, width := range m.told {
		if width == 2 {
			trials++
		}
	}
	if trials < 4 || trials > 8 {
		t.Errorf("%d trials in two minutes", trials)
	}
}

// Others who come get the cores back, and when they go we are back.
func TestPolicyYields(t *testing.T) {
	m := &imagined{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.policy(2)
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Fatal("not spread over two")
	}
	m.others = 2
	m.run(p, 500*time.Millisecond)
	if p.width != 1 {
		t.Error("others need the cores, and we do not yield")
	}
	m.run(p, 30*time.Second)
	m.others = 0
	m.run(p, 70*time.Second)
	if p.width != 2 {
		t.Error("we are not back")
	}
	m.demand = 0.5e9
	m.run(p, time.Second)
	if p.width != 1 {
		t.Error("one core suffices, and we hold two")
	}
}

// A pause, however long, is not looked back on.
func TestPolicyForgets(t *testing.T) {
	m := &imagined{cores: 2, single: 1e9, demand: 9e9, extra: 0.1}
	p := m.policy(2)
	m.run(p, 5*time.Second)
	m.now = m.now.Add(time.Hour)
	m.idle += 2 * time.Hour
	m.run(p, 50*time.Millisecond)
	if p.width != 1 {
		t.Error("spread as an hour ago")
	}
	m.run(p, 5*time.Second)
	if p.width != 2 {
		t.Error("not spread after a pause")
	}
}

// Only large batches behind others are carried beside others.
func TestWhatIsShared(t *testing.T) {
	m := &imagined{}
	p := m.policy(4)
	p.width = 3
	for i, c := range []struct {
		size         int
		ready        bool
		awake        int
		shared, more bool
	}{
		{60000, false, 2, false, false},
		{60000, true, 2, false, false}, // the first behind another
		{60000, true, 2, true, false},
		{60000, true, 0, false, false}, // with whom?
		{60000, true, 0, true, true},
		{60000, true, 1, true, true},
		{60000, true, 2, true, false},
		{1000, true, 2, false, false},
		{largeBatch, true, 2, true, false},
		{60000, false, 2, false, false},
	} {
		shared, more := p.note(BatchInfo{Bytes: c.size, At: 1}, c.ready, c.awake)
		if shared != c.shared || more != c.more {
			t.Errorf("batch %d: shared %v, another roused %v", i, shared, more)
		}
	}
	p.streak = 9
	p.dry()
	if shared, _ := p.note(BatchInfo{Bytes: 60000, At: 1}, true, 2); shared {
		t.Error("shared after a moment without anything")
	}
}
