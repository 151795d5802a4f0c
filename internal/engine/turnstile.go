package engine

import (
	"runtime"
	"sync/atomic"
)

// Between goroutines that are all awake a hand-over takes a fraction of a
// microsecond. To fall asleep and be woken takes a hundred times as long, for an
// idle core sleeps, too. And it spreads: everybody behind one who sleeps waits
// for so long that he falls asleep as well, and then they are slower than one
// alone. So who waits looks on for about twice as long as that, some 100 µs, and
// lets others run meanwhile. What this may cost, the policy sees, and judges.
const (
	looks   = 100 // rounds
	glances = 400 // of a round
)

// watch looks on until ok says yes, or for long enough.
func watch(ok func() bool) bool {
	for range looks {
		for range glances {
			if ok() {
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}

// baton is a lock. Whoever holds it reads.
type baton struct {
	held    atomic.Bool
	waiting atomic.Int32
	call    chan struct{} // wakes one of those who wait, maybe in vain
}

func newBaton() *baton { return &baton{call: make(chan struct{}, 1)} }

func (b *baton) take() {
	if watch(b.try) {
		return
	}
	b.waiting.Add(1)
	// Whoever releases stores first and looks whether somebody waits then.
	for !b.try() {
		<-b.call
	}
	b.waiting.Add(-1)
}

func (b *baton) try() bool { return !b.held.Load() && b.held.CompareAndSwap(false, true) }

func (b *baton) release() {
	b.held.Store(false)
	if b.waiting.Load() == 0 {
		return
	}
	select {
	case b.call <- struct{}{}:
		runtime.Gosched() // to him; another core goes on with this one
	default:
	}
}

// turnstile lets tickets through one after the other. At most as many are held
// at once as it has seats.
type turnstile struct {
	called atomic.Uint64 // all before it are through
	seats  []seat
}

// seat is where the holder of every len(seats)th ticket waits.
type seat struct {
	taken atomic.Bool
	call  chan struct{}
}

func newTurnstile(seats int) *turnstile {
	t := &turnstile{seats: make([]seat, seats)}
	for i := range t.seats {
		t.seats[i].call = make(chan struct{}, 1)
	}
	return t
}

// await waits until all before the ticket are through. Its holder calls pass
// afterwards; who only wants the others to be through, and sees to it that no
// more tickets are given out meanwhile, may wait for the next one to be given.
func (t *turnstile) await(ticket uint64) {
	called := func() bool { return t.called.Load() == ticket }
	if watch(called) {
		return
	}
	s := &t.seats[ticket%uint64(len(t.seats))]
	// Whoever passes stores first and looks at the seat then. One who does so
	// very late may call the wrong one.
	for !called() {
		s.taken.Store(true)
		if called() && s.taken.CompareAndSwap(true, false) {
			return
		}
		<-s.call
	}
}

// pass lets the next ticket through. The holder of this one has awaited it.
func (t *turnstile) pass(ticket uint64) {
	t.called.Store(ticket + 1)
	s := &t.seats[(ticket+1)%uint64(len(t.seats))]
	if s.taken.CompareAndSwap(true, false) {
		s.call <- struct{}{}
		runtime.Gosched()
	}
}
