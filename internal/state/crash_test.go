package state

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// scenario is a sequence of Logs on one disk, and what the disk must contain.
type scenario struct {
	t    *testing.T
	disk *memDisk
	dice *rand.Rand
	now  clock.Time
	last wire.TAI64N // the greatest stamp so far

	log     *Log
	ceiling wire.TAI64N // durable; the disk may have a higher one
	// durable is what Flush has written; unsynced is what may have replaced it
	// since (a zero stamp: the peer was forgotten).
	durable  map[key.Public]wire.TAI64N
	unsynced map[key.Public][]wire.TAI64N
}

func newScenario(t *testing.T, seed uint64) *scenario {
	return &scenario{t: t, disk: newMemDisk(seed), dice: rand.New(rand.NewPCG(21, seed)),
		last: wire.StampAt(time.Unix(1_700_000_100, 0)), durable: map[key.Public]wire.TAI64N{}, unsynced: map[key.Public][]wire.TAI64N{}}
}

// open opens the Log and compares its contents with what the disk must contain.
func (s *scenario) open() Saved {
	s.t.Helper()
	l, saved, err := open(s.disk, "/dir", "wg0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = l
	if s.ceiling.After(saved.Ceiling) || saved.Ceiling.After(s.last) {
		s.t.Fatalf("got ceiling %x, want at least %x and at most %x", saved.Ceiling, s.ceiling, s.last)
	}
	for i := range 256 {
		p := peer(i)
		found := saved.Received[p]
		if found != s.durable[p] && !slices.Contains(s.unsynced[p], found) {
			s.t.Fatalf("peer %d: got stamp %x, want %x or one of %x", i, found, s.durable[p], s.unsynced[p])
		}
	}
	s.ceiling, s.durable, s.unsynced = saved.Ceiling, saved.Received, map[key.Public][]wire.TAI64N{}
	return saved
}

func peer(i int) key.Public { return key.Public{byte(i), 0xbb} }

func (s *scenario) stamp() wire.TAI64N {
	s.last = s.last.Next()
	return s.last
}

// randomAction does one thing that a daemon may do.
func (s *scenario) randomAction() {
	switch n := s.dice.IntN(20); {
	case n < 4:
		c := s.stamp()
		if err := s.log.Reserve(c); err == nil {
			s.ceiling = c
		}
	case n < 6:
		s.now = s.now.Add(time.Duration(s.dice.IntN(3)) * time.Second)
		s.flush()
	case n < 7 && s.dice.IntN(4) == 0:
		s.close()
		s.open()
	default:
		for range 1 + s.dice.IntN(60) {
			s.note(peer(s.dice.IntN(256)), s.dice.IntN(5) == 0)
		}
	}
}

func (s *scenario) note(p key.Public, forget bool) {
	if forget {
		s.unsynced[p] = append(s.unsynced[p], wire.TAI64N{})
		s.log.Forget(p)
		return
	}
	stamp := s.stamp()
	s.unsynced[p] = append(s.unsynced[p], stamp)
	s.log.Accepted(p, stamp)
}

func (s *scenario) flush() {
	next, err := s.log.Flush(s.now)
	if err == nil && next == clock.Never {
		s.written()
	}
}

// written makes the last unsynced stamp of each peer the durable one.
func (s *scenario) written() {
	for p, stamps := range s.unsynced {
		if stamp := stamps[len(stamps)-1]; stamp.IsZero() {
			delete(s.durable, p)
		} else {
			s.durable[p] = stamp
		}
	}
	clear(s.unsynced)
}

// close closes the Log and may lower the ceiling.
func (s *scenario) close() {
	was := s.ceiling
	last := was
	if s.dice.IntN(2) == 0 && last[7] > 0 {
		last[7]-- // a second below the ceiling
		s.ceiling = last
	}
	if err := s.log.Close(last); err != nil {
		s.ceiling = last
		return
	}
	s.ceiling = last
	s.written()
}

// A20, A21, B51: at whatever step the power fails, the next Open finds a ceiling
// not lower than the one reserved, and of each peer a stamp not older than the
// last one flushed. Writes may be lost in part or zeroed, and renames undone.
func TestPowerFailureAtEveryStep(t *testing.T) {
	for seed := range uint64(8) {
		for crash := 1; ; crash++ {
			if !runUntil(t, seed, crash) {
				t.Logf("seed %d: %d steps", seed, crash-1)
				break
			}
		}
	}
}

// runUntil runs the scenario of the seed with a power failure at that step, and a
// second one soon after. It returns false if the scenario has no such step.
func runUntil(t *testing.T, seed uint64, crash int) (failed bool) {
	s := newScenario(t, seed)
	s.disk.crash = crash
	failed = s.crashes(func() {
		s.open()
		for range 150 {
			s.randomAction()
		}
	})
	if !failed {
		return false
	}
	s.disk.powerOn()
	s.disk.crash = s.disk.steps + 1 + s.dice.IntN(8) // possibly during Open
	if s.crashes(func() {
		s.open()
		for range 20 {
			s.randomAction()
		}
	}) {
		s.disk.powerOn()
	}
	s.disk.crash = 0
	s.open()
	s.note(peer(0), false)
	s.now = s.now.Add(time.Minute)
	s.flush()
	if len(s.unsynced) != 0 {
		t.Fatalf("seed %d, crash %d: the Log does not write after the crash", seed, crash)
	}
	if saved := s.open(); saved.Warning != "" {
		t.Fatalf("seed %d, crash %d: still damaged after the crash: %s", seed, crash, saved.Warning)
	}
	return true
}

func (s *scenario) crashes(f func()) (failed bool) {
	defer func() {
		if r := recover(); r == (powerFailure{}) {
			failed = true
		} else if r != nil {
			panic(r)
		}
	}()
	f()
	return false
}

// A20, A21: on a full disk, no data is lost, and writes are tried again at growing
// intervals; once there is space, everything is written.
func TestFullDisk(t *testing.T) {
	for seed := range uint64(30) {
		s := newScenario(t, seed)
		s.open()
		for range 20 {
			s.randomAction()
		}
		s.now = s.now.Add(time.Minute)
		s.flush()
		before := maps.Clone(s.durable)
		s.disk.full = true
		s.now = s.now.Add(writeInterval)
		s.note(peer(1), false)
		if err := s.log.Reserve(s.stamp()); err == nil {
			t.Fatal("Reserve succeeded on a full disk")
		}
		var wait time.Duration
		for attempt := range 20 {
			next, err := s.log.Flush(s.now)
			if err == nil || next.Sub(s.now) < min(wait*2, retryLimit) || next.Sub(s.now) > retryLimit {
				t.Fatalf("attempt %d: next in %v, error %v", attempt, next.Sub(s.now), err)
			}
			if again, err := s.log.Flush(next - 1); again != next || err != nil {
				t.Fatalf("attempt %d was repeated too early: %v, %v", attempt, again, err)
			}
			wait, s.now = next.Sub(s.now), next
		}
		l := s.log
		if saved := s.open(); len(saved.Received) != len(before) {
			t.Fatalf("seed %d: a full disk lost %d peers", seed, len(before)-len(saved.Received))
		}
		s.log, s.disk.full = l, false
		s.note(peer(1), false)
		s.now = s.now.Add(retryLimit)
		s.flush()
		s.ceiling = s.log.contents.ceiling // Flush wrote the ceiling that Reserve could not write
		if saved := s.open(); saved.Warning != "" || saved.Received[peer(1)] != s.durable[peer(1)] {
			t.Fatalf("seed %d: not everything was written once there was space: %s", seed, saved.Warning)
		}
	}
}
