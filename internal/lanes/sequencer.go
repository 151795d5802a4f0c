package lanes

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

// watch looks on until ok says yes, or for so many rounds.
func watch(rounds int, ok func() bool) bool {
	for range rounds {
		for range glances {
			if ok() {
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}

// stepper is called before each step of a goroutine that others can see, with
// the channel that it is going to receive from or send to, if any. Tests hold
// goroutines there, to try the steps of several in every order; elsewhere it is
// nil.
type stepper func(step string, c chan struct{})

// rounds is for how long to watch. Nothing changes while a test watches.
func (s stepper) rounds() int {
	if s != nil {
		return 1
	}
	return looks
}

func (s stepper) at(step string, c chan struct{}) {
	if s != nil {
		s(step, c)
	}
}

// baton is a lock. Whoever holds it reads.
type baton struct {
	held    atomic.Bool
	waiting atomic.Int32
	call    chan struct{} // wakes one of those who wait, maybe in vain
	step    stepper
}

func newBaton() *baton { return &baton{call: make(chan struct{}, 1)} }

func (b *baton) take() {
	b.step.at("watch", nil)
	if watch(b.step.rounds(), b.try) {
		return
	}
	b.step.at("wait", nil)
	b.waiting.Add(1)
	// Whoever releases stores first and looks whether somebody waits then.
	for b.step.at("try", nil); !b.try(); b.step.at("try", nil) {
		b.step.at("sleep", b.call)
		<-b.call
	}
	b.step.at("leave", nil)
	b.waiting.Add(-1)
}

func (b *baton) try() bool { return !b.held.Load() && b.held.CompareAndSwap(false, true) }

func (b *baton) release() {
	b.step.at("release", nil)
	b.held.Store(false)
	b.step.at("look", nil)
	if b.waiting.Load() == 0 {
		return
	}
	b.step.at("wake", nil)
	select {
	case b.call <- struct{}{}:
		runtime.Gosched() // to him; another core goes on with this one
	default:
	}
}

// turnstile lets tickets through one after the other. Each has a seat of its own
// to sleep on: where two shared one, the first could take what was to wake the
// second, who would then sleep for ever.
type turnstile struct {
	called atomic.Uint64 // all before it are through
	seats  []seat
	step   stepper
}

// seat is where whoever awaits every len(seats)th ticket sleeps.
type seat struct {
	taken atomic.Bool
	call  chan struct{}
}

// newTurnstile makes one for so many tickets held at once. It has one more seat,
// for who awaits the next ticket to be given while all others are held.
func newTurnstile(held int) *turnstile {
	t := &turnstile{seats: make([]seat, held+1)}
	for i := range t.seats {
		t.seats[i].call = make(chan struct{}, 1)
	}
	return t
}

// await waits until all before the ticket are through. Its holder calls pass
// afterwards. Who only wants the others to be through may await the next ticket
// to be given, if nobody else does so and no more are given meanwhile.
func (t *turnstile) await(ticket uint64) {
	called := func() bool { return t.called.Load() == ticket }
	t.step.at("watch", nil)
	if watch(t.step.rounds(), called) {
		return
	}
	s := &t.seats[ticket%uint64(len(t.seats))]
	// Whoever passes stores first and looks at the seat then. One who does so
	// very late may call the wrong one.
	for t.step.at("look", nil); !called(); t.step.at("look", nil) {
		t.step.at("sit", nil)
		s.taken.Store(true)
		t.step.at("look again", nil)
		if called() {
			t.step.at("rise", nil)
			if s.taken.CompareAndSwap(true, false) {
				return
			}
		}
		t.step.at("sleep", s.call)
		<-s.call
	}
}

// pass lets the next ticket through. The holder of this one has awaited it.
func (t *turnstile) pass(ticket uint64) {
	t.step.at("pass", nil)
	t.called.Store(ticket + 1)
	s := &t.seats[(ticket+1)%uint64(len(t.seats))]
	t.step.at("see", nil)
	if s.taken.CompareAndSwap(true, false) {
		t.step.at("wake", s.call)
		s.call <- struct{}{}
		runtime.Gosched()
	}
}
