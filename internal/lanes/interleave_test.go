package lanes

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A scenario is a set of goroutines that run concurrently. explore tries their
// steps in every order.
type scenario struct {
	threads []func()
	state   func() string // all shared state, and the variables of the threads
	faults  []string      // found by the threads
}

// A thread is one goroutine of a scenario. While it does not run, it is
// parked before a step.
type thread struct {
	step   string
	ready  func() bool // reports that the step would not block; nil: it never blocks
	resume chan struct{}
	done   bool
}

// A schedule runs a scenario, one step at a time.
type schedule struct {
	threads []*thread
	current *thread // the thread that runs
	parked  chan struct{}
	quit    bool
}

// park stops the calling goroutine until the schedule chooses it.
func (s *schedule) park(step string, ready func() bool) {
	t := s.current
	t.step, t.ready = step, ready
	s.parked <- struct{}{}
	<-t.resume
	if s.quit {
		runtime.Goexit()
	}
}

// step is the stepHook of the tested type.
func (s *schedule) step(step string, c chan struct{}) {
	switch {
	case c == nil:
		s.park(step, nil)
	case step == "sleep":
		s.park(step, func() bool { return len(c) > 0 })
	default:
		s.park(step, func() bool { return len(c) < cap(c) })
	}
}

func (s *schedule) start(f func()) {
	t := &thread{resume: make(chan struct{})}
	s.threads = append(s.threads, t)
	s.current = t
	go func() {
		defer func() {
			t.done = true
			s.parked <- struct{}{}
		}()
		f()
	}()
	<-s.parked
}

func (s *schedule) advance(t *thread) {
	s.current = t
	t.resume <- struct{}{}
	<-s.parked
}

// close ends the threads that are not done.
func (s *schedule) close() {
	s.quit = true
	for _, t := range s.threads {
		for !t.done {
			s.advance(t)
		}
	}
}

// ready returns the numbers of the threads that can make a step.
func (s *schedule) ready() (list []int) {
	for i, t := range s.threads {
		if !t.done && (t.ready == nil || t.ready()) {
			list = append(list, i)
		}
	}
	return list
}

func (s *schedule) describe() string {
	var b strings.Builder
	for _, t := range s.threads {
		if t.done {
			b.WriteString("done; ")
		} else {
			b.WriteString(t.step + "; ")
		}
	}
	return b.String()
}

// explore runs a scenario again and again, until it has seen every state that any
// order of steps leads to. It returns the first fault: one that a thread found, or
// that no thread can continue though not all are done.
func explore(begin func(s *schedule) *scenario) (states int, fault string) {
	seen := map[string]bool{}
	paths := [][]int{nil}
	for len(paths) > 0 {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		fault = follow(begin, path, func(state string, ready []int) (next int, more bool) {
			if seen[state] {
				return 0, false
			}
			seen[state] = true
			for _, other := range ready[1:] {
				paths = append(paths, append(slices.Clip(path), other))
			}
			path = append(slices.Clip(path), ready[0])
			return ready[0], true
		})
		if fault != "" {
			break
		}
	}
	return len(seen), fault
}

// follow makes the steps of a path, and then the steps that choose returns.
func follow(begin func(s *schedule) *scenario, path []int, choose func(state string, ready []int) (int, bool)) (fault string) {
	s := &schedule{parked: make(chan struct{})}
	c := begin(s)
	for _, f := range c.threads {
		s.start(f)
	}
	defer s.close()
	var trace []string
	for i := 0; ; i++ {
		ready := s.ready()
		stuck := len(ready) == 0 && slices.ContainsFunc(s.threads, func(t *thread) bool { return !t.done })
		if len(c.faults) > 0 || stuck {
			return fmt.Sprintf("%s (%s; none can continue: %v) after the steps\n%s", strings.Join(c.faults, ", "), s.describe(), stuck, strings.Join(trace, "\n"))
		}
		if len(ready) == 0 {
			return ""
		}
		var next int
		if i < len(path) {
			next = path[i]
		} else if n, more := choose(s.describe()+c.state(), ready); more {
			next = n
		} else {
			return ""
		}
		trace = append(trace, fmt.Sprintf("\t%d %s", next, s.threads[next].step))
		s.advance(s.threads[next])
	}
}

// tickets is a scenario of a sequencer: goroutines draw tickets and wait for their
// turn as those of a lane do, and one more waits for all tickets to be done, as
// queueGroup.resize does.
func tickets(goroutines, count int, newQ func() *sequencer) func(s *schedule) *scenario {
	return func(s *schedule) *scenario {
		q := newQ()
		q.hook = s.step
		c := &scenario{}
		var drawn, passed uint64
		var stopped bool
		mine := make([]uint64, goroutines)
		for i := range goroutines {
			c.threads = append(c.threads, func() {
				for {
					s.park("draw", func() bool { return !stopped })
					if drawn == uint64(count) {
						return
					}
					mine[i] = drawn
					drawn++
					q.wait(mine[i])
					if passed++; passed != mine[i]+1 {
						c.faults = append(c.faults, fmt.Sprintf("ticket %d is number %d", mine[i], passed))
					}
					q.done(mine[i])
				}
			})
		}
		c.threads = append(c.threads, func() {
			s.park("stop", nil)
			stopped = true
			if q.wait(drawn); passed != drawn {
				c.faults = append(c.faults, fmt.Sprintf("%d of %d tickets are done when all should be", passed, drawn))
			}
			s.park("resume", nil)
			stopped = false
		})
		c.state = func() string {
			text := fmt.Sprint(q.next.Load(), drawn, passed, stopped, mine)
			for i := range q.slots {
				text += fmt.Sprint(" ", q.slots[i].sleeping.Load(), len(q.slots[i].wake))
			}
			return text
		}
		return c
	}
}

// In whatever order the goroutines of a lane make their steps, and wherever one of
// them is delayed, none sleeps forever and tickets go through in their order. This
// includes a goroutine that waits for all to be done while as many tickets are held
// as the lane may have.
func TestSequencerInEveryOrder(t *testing.T) {
	for _, c := range []struct{ goroutines, tickets int }{{1, 4}, {2, 5}, {3, 3}} {
		newQ := func() *sequencer {
			return newLane(FixedSpread(c.goroutines), newGovernor(nil, nil, nil), &Counter{}, nil, single(nil)).sequencer
		}
		states, fault := explore(tickets(c.goroutines, c.tickets, newQ))
		if fault != "" {
			t.Errorf("%d goroutines: %s", c.goroutines, fault)
		}
		t.Logf("%d goroutines, %d tickets: %d states", c.goroutines, c.tickets, states)
	}
}

// With one slot fewer, explore finds the order in which a goroutine consumes the
// wake-up of another. That keeps the test above honest.
func TestSlotTooFewIsSeen(t *testing.T) {
	_, fault := explore(tickets(2, 4, func() *sequencer {
		q := newSequencer(2)
		q.slots = q.slots[:2]
		return q
	}))
	if !strings.Contains(fault, "none can continue: true") {
		t.Errorf("nothing is wrong with two goroutines in one slot: %q", fault)
	}
	t.Log(fault)
}

// The same for the read lock: one goroutine at a time holds it, and none sleeps
// while it is free.
func TestReadLockInEveryOrder(t *testing.T) {
	states, fault := explore(func(s *schedule) *scenario {
		l := newReadLock()
		l.hook = s.step
		c := &scenario{}
		inside := 0
		var rounds [3]int
		for i := range rounds {
			c.threads = append(c.threads, func() {
				for ; rounds[i] < 2; rounds[i]++ {
					l.lock()
					if inside++; inside != 1 {
						c.faults = append(c.faults, "two goroutines hold it")
					}
					s.park("hold", nil)
					inside--
					l.unlock()
				}
			})
		}
		c.state = func() string { return fmt.Sprint(l.held.Load(), l.waiting.Load(), len(l.wake), inside, rounds) }
		return c
	})
	if fault != "" {
		t.Error(fault)
	}
	t.Logf("%d states", states)
}
