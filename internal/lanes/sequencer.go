package lanes

import (
	"runtime"
	"sync/atomic"
)

// A sequencer lets tickets through one after the other, in the order of their
// numbers. No two waiting goroutines share a slot: if they did, the first could
// consume the wake-up of the second, which would then sleep forever.
type sequencer struct {
	next  atomic.Uint64 // the ticket that may go through; all before it are done
	slots []slot
	hook  stepHook
}

// A slot is where a goroutine sleeps that waits for a ticket. Ticket n uses slot
// n modulo the number of slots.
type slot struct {
	sleeping atomic.Bool
	wake     chan struct{}
}

// newSequencer makes a sequencer for at most that many tickets held at once. It
// has one slot more than that: a goroutine may wait for the ticket that is drawn
// next while all the others are held.
func newSequencer(held int) *sequencer {
	q := &sequencer{slots: make([]slot, held+1)}
	for i := range q.slots {
		q.slots[i].wake = make(chan struct{}, 1)
	}
	return q
}

// wait waits until all tickets before this one are done. The holder of the ticket
// calls done afterwards. A goroutine that only wants all tickets to be done may
// wait for the ticket that is drawn next, provided that no ticket is drawn and no
// other goroutine does the same meanwhile.
func (q *sequencer) wait(ticket uint64) {
	isNext := func() bool { return q.next.Load() == ticket }
	q.hook.at("spin", nil)
	if spin(q.hook.rounds(), isNext) {
		return
	}
	s := &q.slots[ticket%uint64(len(q.slots))]
	// done first stores next and then looks at the slot. A call of done that is
	// delayed in between may wake a goroutine whose turn it is not.
	for q.hook.at("look", nil); !isNext(); q.hook.at("look", nil) {
		q.hook.at("announce", nil)
		s.sleeping.Store(true)
		q.hook.at("look again", nil)
		if isNext() {
			q.hook.at("withdraw", nil)
			if s.sleeping.CompareAndSwap(true, false) {
				return
			}
		}
		q.hook.at("sleep", s.wake)
		<-s.wake
	}
}

// done lets the next ticket through. The caller has waited for this one.
func (q *sequencer) done(ticket uint64) {
	q.hook.at("store", nil)
	q.next.Store(ticket + 1)
	s := &q.slots[(ticket+1)%uint64(len(q.slots))]
	q.hook.at("look at the slot", nil)
	if s.sleeping.CompareAndSwap(true, false) {
		q.hook.at("wake", s.wake)
		s.wake <- struct{}{}
		runtime.Gosched() // so that it runs at once; another core continues with this goroutine
	}
}
