package lanes

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
)

// A numberSource is a source of batches that are consecutive numbers. It checks
// what its handlers do.
type numberSource struct {
	t           testing.TB
	count       int // batches in the source
	incomplete  int // one batch of this many is not complete after Prepare; 0: all are
	failing     int // one read of this many fails; 0: none does
	pause       func()
	closed      chan struct{}
	endless     bool // reads never run out of batches, until closed is closed
	varies      bool // the width changes at random
	noIdleTime  bool // followers that sleep end at once
	lane        *lane
	counter     Counter
	atOnce, max atomic.Int32 // concurrent calls of Work: current and greatest number

	mu        sync.Mutex
	next      int         // the number that is read next
	reading   atomic.Bool // a handler is reading
	finishing atomic.Bool
	finished  []int // in order
	handlers  []*numberHandler
}

type numberHandler struct {
	*numberSource
	mine     int
	complete bool
	handled  int // batches
}

var errRead = errors.New("a read that fails")

func (s *numberSource) newHandler() Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &numberHandler{numberSource: s}
	s.handlers = append(s.handlers, h)
	return h
}

// alone reports an error if another goroutine does the same at the same time.
func (s *numberSource) alone(what *atomic.Bool, name string) func() {
	if what.Swap(true) {
		s.t.Errorf("two goroutines are %s at once", name)
	}
	return func() { what.Store(false) }
}

func (h *numberHandler) Read(wait bool) (BatchInfo, error) {
	defer h.alone(&h.reading, "reading")()
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
		return BatchInfo{}, os.ErrClosed
	default:
	}
	if h.failing > 0 && rand.IntN(h.failing) == 0 {
		return BatchInfo{}, errRead
	}
	if !h.endless && h.next == h.count {
		if !wait {
			return BatchInfo{}, nil
		}
		return BatchInfo{}, os.ErrClosed
	}
	if !wait && rand.IntN(10) == 0 {
		return BatchInfo{}, nil // no backlog for a moment
	}
	if h.varies && rand.IntN(10) == 0 {
		p := h.lane.policy.(*spreadPolicy)
		p.width = 1 + rand.IntN(p.max)
	}
	h.mine = h.next
	h.next++
	return BatchInfo{Bytes: 60000, At: clock.Time(h.next)}, nil
}

func (h *numberHandler) Failed(err error) bool { return errors.Is(err, os.ErrClosed) }

func (h *numberHandler) Prepare() bool {
	h.complete = h.incomplete == 0 || h.mine%h.incomplete != 0
	return h.complete
}

func (h *numberHandler) Work() {
	n := h.atOnce.Add(1)
	for old := h.max.Load(); n > old && !h.max.CompareAndSwap(old, n); old = h.max.Load() {
	}
	h.pause()
	h.atOnce.Add(-1)
}

func (h *numberHandler) Finish() {
	defer h.alone(&h.finishing, "finishing")()
	if !h.complete {
		defer h.alone(&h.reading, "reading")()
		if h.atOnce.Load() > 0 {
			h.t.Error("the rest of an incomplete batch is processed during the work on others")
		}
	}
	h.finished = append(h.finished, h.mine)
	h.handled++
}

// run runs a lane on the source, and returns when all its goroutines have ended.
func (s *numberSource) run(p SpreadPolicy) {
	s.closed = make(chan struct{})
	var running sync.WaitGroup
	l := newLane(p, newGovernor(nil, func() clock.Now { return clock.Now{} }, nil), &s.counter, &running, Source{NewHandler: s.newHandler})
	if s.lane = l; s.noIdleTime {
		l.idleTimeout = 0
	}
	running.Go(l.lead)
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	if s.endless {
		time.Sleep(50 * time.Millisecond)
		close(s.closed)
	}
	select {
	case <-done:
	case <-time.After(asynctest.Timeout):
		s.t.Fatal("the lane does not end")
	}
	for i, n := range s.finished {
		if n != i {
			s.t.Fatalf("batch %d was finished at position %d", n, i)
		}
	}
	if len(s.finished) != s.next {
		s.t.Errorf("%d batches were read, and %d finished", s.next, len(s.finished))
	}
	if n := s.counter.Stats().Now; n != 0 {
		s.t.Errorf("%d goroutines are counted after the end", n)
	}
}

func shortSleep() { time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) }

func noSleep() {}

// However long each step takes, batches are finished in the order in which they
// were read, none is lost, and several are processed at the same time.
func TestLaneKeepsOrder(t *testing.T) {
	for _, width := range []int{2, 3, 8} {
		for name, s := range map[string]*numberSource{
			"slow":            {count: 300, pause: shortSleep},
			"fast":            {count: 10000, pause: noSleep},
			"some incomplete": {count: 300, incomplete: 7, pause: shortSleep},
			"most incomplete": {count: 5000, incomplete: 2, pause: noSleep},
			"reads fail":      {count: 300, failing: 20, pause: shortSleep},
			"fail fast":       {count: 5000, failing: 5, pause: noSleep},
		} {
			s.t = t
			s.run(FixedSpread(width))
			if s.next != s.count {
				t.Errorf("%s, width %d: %d batches read, want %d", name, width, s.next, s.count)
			}
			if got := s.max.Load(); name == "slow" && got < 2 || got > int32(width) {
				t.Errorf("%s, width %d: at most %d batches were processed at once", name, width, got)
			}
			for i, h := range s.handlers {
				t.Logf("%s, width %d: handler %d had %d batches", name, width, i, h.handled)
				if name == "slow" && h.handled == 0 {
					t.Errorf("%s, width %d: handler %d had no batches", name, width, i)
				}
			}
		}
	}
}

// Order is also kept while the spread policy changes the number of followers.
func TestFollowersComeAndGo(t *testing.T) {
	for name, s := range map[string]*numberSource{
		"slow":         {count: 500, varies: true, pause: shortSleep},
		"fast":         {count: 20000, varies: true, pause: noSleep},
		"incomplete":   {count: 2000, varies: true, incomplete: 5, pause: noSleep},
		"no idle time": {count: 20000, varies: true, noIdleTime: true, pause: noSleep},
		"reads fail":   {count: 2000, varies: true, failing: 10, pause: noSleep},
		"closed":       {varies: true, endless: true, pause: shortSleep},
	} {
		s.t = t
		p := newSpreadPolicy(4, func() (cpu.Times, error) { return cpu.Times{}, nil }, nil)
		p.width = 4
		s.run(p)
		if name == "slow" && s.max.Load() < 2 {
			t.Error("no two batches were processed at the same time")
		}
		if name == "fast" && len(s.handlers) != 4 {
			t.Errorf("%d handlers, want 4", len(s.handlers))
		}
	}
}

// A follower ends after the idle timeout, unless it is woken at that moment.
func TestFollowerEnds(t *testing.T) {
	l := newLane(FixedSpread(2), newGovernor(nil, nil, nil), &Counter{}, nil, single(&nothing{}))
	l.idleTimeout, l.followers = 0, 1
	l.reading.lock() // like a leader that waits or has no followers
	l.wake <- struct{}{}
	time.Sleep(time.Millisecond)
	if !l.sleep() || l.followers != 1 {
		t.Error("a follower that was woken has ended")
	}
	if l.sleep() || l.followers != 0 {
		t.Error("a follower that is not needed still sleeps")
	}
}

// With a width of one, one goroutine processes all batches.
func TestLaneAlone(t *testing.T) {
	s := &numberSource{t: t, count: 1000, pause: noSleep}
	s.run(FixedSpread(1))
	if len(s.handlers) != 1 || s.max.Load() != 1 {
		t.Errorf("%d handlers, at most %d calls of Work at once; want 1, 1", len(s.handlers), s.max.Load())
	}
}

// B55, B59: whenever its source is closed, a lane ends with all its goroutines.
func TestLaneCloses(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	for i := range 40 {
		s := &numberSource{t: t, endless: true, incomplete: i % 5, failing: i % 3 * 10, pause: []func(){noSleep, shortSleep}[i%2]}
		s.run(FixedSpread(i%6 + 1))
	}
	check()
}

// Tickets that reach the sequencer in any order go through in the order of their
// numbers.
func TestSequencer(t *testing.T) {
	for _, goroutines := range []int{1, 2, 3, 5, 16} {
		q := newSequencer(goroutines)
		var mu sync.Mutex // held to draw tickets
		var drawn uint64
		var inside atomic.Int32
		var last atomic.Uint64
		var all sync.WaitGroup
		done := make(chan struct{})
		for range goroutines {
			all.Go(func() {
				for range 500 {
					mu.Lock()
					mine := drawn
					drawn++
					mu.Unlock()
					if rand.IntN(20) == 0 {
						shortSleep()
					}
					q.wait(mine)
					if inside.Add(1) != 1 || last.Load() != mine {
						t.Errorf("ticket %d went through together with another one, or out of order", mine)
					}
					last.Add(1)
					inside.Add(-1)
					q.done(mine)
				}
			})
		}
		go func() { all.Wait(); close(done) }()
		for seen := uint64(0); ; {
			asynctest.Eventually(t, "another ticket, or the end", func() bool { return q.next.Load() > seen || isClosed(done) })
			if isClosed(done) {
				break
			}
			seen = q.next.Load()
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// single is the source of a lane with one handler, h.
func single(h Handler) Source { return Source{NewHandler: func() Handler { return h }} }

// nothing is a handler of empty batches.
type nothing struct{ finished int }

func (*nothing) Read(bool) (BatchInfo, error) { return BatchInfo{}, nil }
func (*nothing) Failed(error) bool            { return true }
func (*nothing) Prepare() bool                { return true }
func (*nothing) Work()                        {}
func (n *nothing) Finish()                    { n.finished++ }
