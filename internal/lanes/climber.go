package lanes

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

const (
	// reviewInterval is how long is looked back on. The kernel counts idle time
	// in steps of 10 ms.
	reviewInterval = 100 * time.Millisecond

	// One more is tried while that much of a core is idle, and kept if so much
	// more is carried, at a cost per byte that is no greater than so much. All of
	// it is relative to what was measured just before.
	leastIdle = 0.7
	leastGain = 1.1
	mostCost  = 1.3

	// Less than that is carried of what fewer carried, so fewer would do.
	fewerWouldDo = 0.9

	// After a trial that failed the next one waits, longer each time.
	shortestWait = time.Second
	longestWait  = time.Minute
)

// trials find out how many are worth their cost: goroutines that carry a lane
// (policy), or queues of a way (breadth). Others on this machine may need the
// cores more than we do, and what holds us up may be something else than a core.
// So one more is tried, and kept only if it is worth it. Nothing about it depends
// on how long anything takes in itself.
//
// The methods that change the number return what it is to be.
type trials struct {
	meter coreMeter
	tell  func(width int, why string) // of every change

	most  int
	width int // how many there are

	trial  int          // reviews until the trial ends; 0: there is none
	before []experience // by width, less one, when one more was tried
	retry  clock.Time   // no trial before it
	wait   time.Duration
}

// experience is what one review found: bytes a second, and cores.
type experience struct{ rate, own, idle float64 }

func newTrials(most int, usage func() (cpu.Times, error), tell func(width int, why string)) trials {
	return trials{meter: coreMeter{usage: usage}, tell: tell, most: most, width: 1, before: make([]experience, most), wait: shortestWait}
}

// mayBegin reports whether one more may be tried, if there is a reason.
func (t *trials) mayBegin(now clock.Time) bool { return t.width < t.most && now >= t.retry }

func (t *trials) begin(x experience, why string) int {
	t.before[t.width-1] = x
	t.trial = 2
	return t.change(t.width+1, why)
}

// judge ends a trial, when it is time.
func (t *trials) judge(now clock.Time, x experience) int {
	if t.trial--; t.trial > 0 {
		return t.width // it had to begin first
	}
	before := t.before[t.width-2]
	if x.rate < leastGain*before.rate || x.own*before.rate > mostCost*before.own*x.rate {
		return t.fail(now, t.width-1, "one less does as well")
	}
	t.wait = shortestWait
	return t.change(t.width, "it is worth it")
}

// fail ends a trial, if there is one, and puts off the next.
func (t *trials) fail(now clock.Time, width int, why string) int {
	t.trial = 0
	t.retry = now.Add(t.wait)
	t.wait = min(2*t.wait, longestWait)
	return t.change(width, why)
}

func (t *trials) change(width int, why string) int {
	t.tell(width, why)
	return width
}

// tooMany reports whether one less would carry as much.
func (t *trials) tooMany(rate float64) bool {
	return t.width > 1 && rate < fewerWouldDo*t.before[t.width-2].rate
}

// coreMeter tells what became of the cores since it was read last.
type coreMeter struct {
	usage func() (cpu.Times, error) // nil: it is not known
	last  cpu.Times
	known bool // last is
}

// read returns how many cores this process used, and how many were idle, if it is
// known, and was the last time, which is span ago.
func (m *coreMeter) read(span time.Duration) (own, idle float64, known bool) {
	if m.usage == nil {
		return 0, 0, false
	}
	t, err := m.usage()
	last, known := m.last, m.known && err == nil
	m.last, m.known = t, err == nil
	return (t.Own - last.Own).Seconds() / span.Seconds(), (t.Idle - last.Idle).Seconds() / span.Seconds(), known
}

// forget has the next reading be the first.
func (m *coreMeter) forget() { m.known = false }
