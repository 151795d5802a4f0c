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

// spring is where the batches of a lane come from and go to, for tests.
type spring struct {
	t        testing.TB
	count    int // batches there are
	refuse   int // one of this many is not complete when it is prepared; 0: all are
	fail     int // one read of so many fails; 0: none does
	pause    func()
	closed   chan struct{}
	endless  bool // when all are read, reads wait until closed
	varies   bool // the width does
	restless bool // followers that sleep end
	lane     *lane

	mu        sync.Mutex
	next      int         // to be read
	reading   atomic.Bool // somebody is
	finishing atomic.Bool
	through   []int // in the order in which they left
	errors    int

	atOnce, mostAtOnce atomic.Int32
	carriers           []*bucketCarrier
}

// bucketCarrier carries the numbers of a spring.
type bucketCarrier struct {
	*spring
	mine     int
	complete bool
	number   int // batches carried
}

var errBrokenSpring = errors.New("a read that fails")

func (s *spring) another() Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &bucketCarrier{spring: s}
	s.carriers = append(s.carriers, c)
	return c
}

// alone checks that nobody else does the same.
func (s *spring) alone(what *atomic.Bool, name string) func() {
	if what.Swap(true) {
		s.t.Errorf("two are %s at once", name)
	}
	return func() { what.Store(false) }
}

func (c *bucketCarrier) Read(wait bool) (BatchInfo, error) {
	defer c.alone(&c.reading, "reading")()
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return BatchInfo{}, os.ErrClosed
	default:
	}
	if c.fail > 0 && rand.IntN(c.fail) == 0 {
		return BatchInfo{}, errBrokenSpring
	}
	if !c.endless && c.next == c.count {
		if !wait {
			return BatchInfo{}, nil
		}
		if !c.endless {
			return BatchInfo{}, os.ErrClosed
		}
	}
	if !wait && rand.IntN(10) == 0 {
		return BatchInfo{}, nil // the backlog is gone for a moment
	}
	if c.varies && rand.IntN(10) == 0 {
		c.lane.policy.width = 1 + rand.IntN(c.lane.policy.most)
	}
	c.mine = c.next
	c.next++
	return BatchInfo{Bytes: 60000, At: clock.Time(c.next)}, nil
}

func (c *bucketCarrier) Failed(err error) bool {
	c.errors++
	return errors.Is(err, os.ErrClosed)
}

func (c *bucketCarrier) Prepare() bool {
	c.complete = c.refuse == 0 || c.mine%c.refuse != 0
	return c.complete
}

func (c *bucketCarrier) Work() {
	n := c.atOnce.Add(1)
	for most := c.mostAtOnce.Load(); n > most && !c.mostAtOnce.CompareAndSwap(most, n); most = c.mostAtOnce.Load() {
	}
	c.pause()
	c.atOnce.Add(-1)
}

func (c *bucketCarrier) Finish() {
	defer c.alone(&c.finishing, "finishing")()
	if !c.complete {
		defer c.alone(&c.reading, "reading")()
		if c.atOnce.Load() > 0 {
			c.t.Error("the rest of a batch is carried beside the work on others")
		}
	}
	c.through = append(c.through, c.mine)
	c.number++
}

// run leads a lane over the spring until its end, and returns when all of it is
// over.
func (s *spring) run(p policy) {
	s.closed = make(chan struct{})
	var running sync.WaitGroup
	l := newLane(p, newGear(nil, func() clock.Now { return clock.Now{} }, nil), &running, Source{NewHandler: s.another})
	if s.lane = l; s.restless {
		l.rest = 0
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
	case <-time.After(asynctest.Patience):
		s.t.Fatal("the lane does not end")
	}
	for i, n := range s.through {
		if n != i {
			s.t.Fatalf("batch %d left in the place of %d", n, i)
		}
	}
	if len(s.through) != s.next {
		s.t.Errorf("%d batches were read, and %d left", s.next, len(s.through))
	}
}

func shortSleep() { time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond) }

func noSleep() {}

// Whatever the time that each takes, batches leave in the order in which they
// were read, none is lost, and the work on several is done at once.
func TestLaneKeepsOrder(t *testing.T) {
	for _, width := range []int{2, 3, 8} {
		for name, s := range map[string]*spring{
			"slow":         {count: 300, pause: shortSleep},
			"fast":         {count: 10000, pause: noSleep},
			"some refused": {count: 300, refuse: 7, pause: shortSleep},
			"most refused": {count: 5000, refuse: 2, pause: noSleep},
			"reads fail":   {count: 300, fail: 20, pause: shortSleep},
			"fail fast":    {count: 5000, fail: 5, pause: noSleep},
		} {
			s.t = t
			s.run(newForcedPolicy(width))
			if s.next != s.count {
				t.Errorf("%s, over %d: %d of %d read", name, width, s.next, s.count)
			}
			if got := s.mostAtOnce.Load(); name == "slow" && got < 2 || got > int32(width) {
				t.Errorf("%s, over %d: %d were worked on at once", name, width, got)
			}
			for i, c := range s.carriers {
				t.Logf("%s, over %d: carrier %d carried %d batches", name, width, i, c.number)
				if name == "slow" && c.number == 0 {
					t.Errorf("%s, over %d: carrier %d carried nothing", name, width, i)
				}
			}
		}
	}
}

// Followers that sleep and wake, come and go, as the policy wants it, change
// nothing about that.
func TestFollowersComeAndGo(t *testing.T) {
	for name, s := range map[string]*spring{
		"slow":       {count: 500, varies: true, pause: shortSleep},
		"fast":       {count: 20000, varies: true, pause: noSleep},
		"refused":    {count: 2000, varies: true, refuse: 5, pause: noSleep},
		"restless":   {count: 20000, varies: true, restless: true, pause: noSleep},
		"reads fail": {count: 2000, varies: true, fail: 10, pause: noSleep},
		"closed":     {varies: true, endless: true, pause: shortSleep},
	} {
		s.t = t
		p := newPolicy(4, func() (cpu.Times, error) { return cpu.Times{}, nil }, nil)
		p.width = 4
		s.run(p)
		if name == "slow" && s.mostAtOnce.Load() < 2 {
			t.Error("nothing was worked on at once")
		}
		if name == "fast" && len(s.carriers) != 4 {
			t.Errorf("%d carriers", len(s.carriers))
		}
	}
}

// A follower that sleeps for long ends, unless it is roused at that moment.
func TestFollowerEnds(t *testing.T) {
	l := newLane(newForcedPolicy(2), newGear(nil, nil, nil), nil, handles(&idle{}))
	l.rest, l.hired = 0, 1
	l.reading.take() // as a leader does who waits, or carries alone
	l.wake <- struct{}{}
	time.Sleep(time.Millisecond)
	if !l.sleep() || l.hired != 1 {
		t.Error("a follower that was roused has ended")
	}
	if l.sleep() || l.hired != 0 {
		t.Error("a follower that nobody needs goes on sleeping")
	}
}

// One goroutine carries everything to the end.
func TestLaneAlone(t *testing.T) {
	s := &spring{t: t, count: 1000, pause: noSleep}
	s.run(newForcedPolicy(1))
	if len(s.carriers) != 1 || s.mostAtOnce.Load() != 1 {
		t.Errorf("%d carriers, %d at once", len(s.carriers), s.mostAtOnce.Load())
	}
}

// B55, B59: a lane that is closed at any moment ends, and leaves nobody behind.
func TestLaneCloses(t *testing.T) {
	check := asynctest.Balance(t)
	for i := range 40 {
		s := &spring{t: t, endless: true, refuse: i % 5, fail: i % 3 * 10, pause: []func(){noSleep, shortSleep}[i%2]}
		s.run(newForcedPolicy(i%6 + 1))
	}
	check()
}

// Tickets that come to the turnstile in any order go through in theirs, also
// where more come than sit.
func TestTurnstile(t *testing.T) {
	for _, seats := range []int{1, 2, 3, 5, 16} {
		gate := newTurnstile(seats)
		var mu sync.Mutex // draws tickets
		var drawn uint64
		var inside atomic.Int32
		var last atomic.Uint64
		var all sync.WaitGroup
		for range seats {
			all.Go(func() {
				for range 500 {
					mu.Lock()
					mine := drawn
					drawn++
					mu.Unlock()
					if rand.IntN(20) == 0 {
						shortSleep()
					}
					gate.await(mine)
					if inside.Add(1) != 1 || last.Load() != mine {
						t.Errorf("ticket %d beside another, or out of order", mine)
					}
					last.Add(1)
					inside.Add(-1)
					gate.pass(mine)
				}
			})
		}
		asynctest.Within(t, asynctest.Patience, "all to pass", all.Wait)
	}
}

// idle carries nothing.
type idle struct{ finished int }

// handles is the source of a lane that one goroutine carries, with h.
func handles(h Handler) Source {
	return Source{NewHandler: func() Handler { return h }, Single: true}
}

func (*idle) Read(bool) (BatchInfo, error) { return BatchInfo{}, nil }
func (*idle) Failed(error) bool            { return true }
func (*idle) Prepare() bool                { return true }
func (*idle) Work()                        {}
func (i *idle) Finish()                    { i.finished++ }
