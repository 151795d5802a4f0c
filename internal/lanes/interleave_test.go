package lanes

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A scenario is what a few goroutines do beside each other. explore tries their
// steps in every order.
type scenario struct {
	threads []func()
	state   func() string // of all that they share, and their variables
	faults  []string      // what they have seen
}

// thread is one goroutine of a scenario. It is always before a step.
type thread struct {
	step   string
	ready  func() bool // the step does not block; nil: it never does
	resume chan struct{}
	done   bool
}

// schedule runs a scenario, one step at a time.
type schedule struct {
	threads []*thread
	current *thread // the only one that runs
	parked  chan struct{}
	quit    bool
}

// park holds the goroutine that calls it until the schedule chooses it.
func (s *schedule) park(step string, ready func() bool) {
	t := s.current
	t.step, t.ready = step, ready
	s.parked <- struct{}{}
	<-t.resume
	if s.quit {
		runtime.Goexit()
	}
}

// step is the stepper of what is tested.
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

// close ends those that are not done.
func (s *schedule) close() {
	s.quit = true
	for _, t := range s.threads {
		for !t.done {
			s.advance(t)
		}
	}
}

// ready are the threads that can make a step, by number.
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

// explore runs a scenario again and again until every state has been seen that
// any order of steps leads to. It returns the first fault: what a thread saw, or
// that none can go on though not all are done.
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

// follow makes the steps of a path, and then those that choose chooses.
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
			return fmt.Sprintf("%s (%s; none can go on: %v) after the steps\n%s", strings.Join(c.faults, ", "), s.describe(), stuck, strings.Join(trace, "\n"))
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

// crossing is a turnstile with carriers that draw tickets and pass, as those of a
// lane do, and one that wants all of them to be through, as bundle.arrange does.
func crossing(carriers, tickets int, gate func() *turnstile) func(s *schedule) *scenario {
	return func(s *schedule) *scenario {
		t := gate()
		t.step = s.step
		c := &scenario{}
		var drawn, through uint64
		var stopped bool
		mine := make([]uint64, carriers)
		for i := range carriers {
			c.threads = append(c.threads, func() {
				for {
					s.park("draw", func() bool { return !stopped })
					if drawn == uint64(tickets) {
						return
					}
					mine[i] = drawn
					drawn++
					t.await(mine[i])
					if through++; through != mine[i]+1 {
						c.faults = append(c.faults, fmt.Sprintf("ticket %d is number %d", mine[i], through))
					}
					t.pass(mine[i])
				}
			})
		}
		c.threads = append(c.threads, func() {
			s.park("stop", nil)
			stopped = true
			if t.await(drawn); through != drawn {
				c.faults = append(c.faults, fmt.Sprintf("%d of %d are through when all should be", through, drawn))
			}
			s.park("go on", nil)
			stopped = false
		})
		c.state = func() string {
			text := fmt.Sprint(t.called.Load(), drawn, through, stopped, mine)
			for i := range t.seats {
				text += fmt.Sprint(" ", t.seats[i].taken.Load(), len(t.seats[i].call))
			}
			return text
		}
		return c
	}
}

// Whatever the order in which the goroutines of a lane make their steps, and
// whoever is held up at any of them, none sleeps for ever, and tickets go through
// in their order: also when it is awaited that all are through while as many are
// held as the lane may have.
func TestTurnstileInEveryOrder(t *testing.T) {
	for _, c := range []struct{ carriers, tickets int }{{1, 4}, {2, 5}, {3, 3}} {
		gate := func() *turnstile {
			return newLane(newForcedPolicy(c.carriers), newGear(nil, nil, nil), nil, handles(nil)).order
		}
		states, fault := explore(crossing(c.carriers, c.tickets, gate))
		if fault != "" {
			t.Errorf("%d carriers: %s", c.carriers, fault)
		}
		t.Logf("%d carriers, %d tickets: %d states", c.carriers, c.tickets, states)
	}
}

// With a seat less it finds the order in which a goroutine takes what was to wake
// another: that keeps the test above honest.
func TestSeatTooFewIsSeen(t *testing.T) {
	_, fault := explore(crossing(2, 4, func() *turnstile {
		gate := newTurnstile(2)
		gate.seats = gate.seats[:2]
		return gate
	}))
	if !strings.Contains(fault, "none can go on: true") {
		t.Errorf("nothing is wrong with two goroutines on one seat: %q", fault)
	}
	t.Log(fault)
}

// The same for the lock of those who read: one at a time has it, and nobody sleeps
// while it is free.
func TestBatonInEveryOrder(t *testing.T) {
	states, fault := explore(func(s *schedule) *scenario {
		b := newBaton()
		b.step = s.step
		c := &scenario{}
		inside := 0
		var rounds [3]int
		for i := range rounds {
			c.threads = append(c.threads, func() {
				for ; rounds[i] < 2; rounds[i]++ {
					b.take()
					if inside++; inside != 1 {
						c.faults = append(c.faults, "two have it")
					}
					s.park("have", nil)
					inside--
					b.release()
				}
			})
		}
		c.state = func() string { return fmt.Sprint(b.held.Load(), b.waiting.Load(), len(b.call), inside, rounds) }
		return c
	})
	if fault != "" {
		t.Error(fault)
	}
	t.Logf("%d states", states)
}
