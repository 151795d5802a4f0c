package engine

import "sync/atomic"

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

// glances is how often somebody looks whether his ticket is called before he
// sits down: that takes a few microseconds, about as long as it takes to fall
// asleep and be woken, so no more than twice the least is ever paid.
const glances = 2000

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
	for range glances {
		if t.called.Load() == ticket {
			return
		}
	}
	s := &t.seats[ticket%uint64(len(t.seats))]
	// Whoever passes stores first and looks at the seat then. One who does so
	// very late may call the wrong one.
	for t.called.Load() != ticket {
		s.taken.Store(true)
		if t.called.Load() == ticket && s.taken.CompareAndSwap(true, false) {
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
	}
}
