package lanes

import "runtime"

// To pass something to a goroutine that runs on another core takes a fraction of
// a microsecond. If that goroutine sleeps, it takes a hundred times as long,
// because an idle core sleeps as well. Sleep also spreads: every goroutine behind
// one that sleeps waits long enough to fall asleep too, and then several are
// slower than one alone. So a goroutine that has to wait first spins for about
// twice as long as a wake-up takes, some 100 µs, and lets other goroutines run in
// between. If that costs more than it brings, the spread policy notices.
const (
	spinRounds = 100
	spinChecks = 400 // in each round
)

// spin calls ok until it returns true, for at most that many rounds. It returns
// what ok returned last.
func spin(rounds int, ok func() bool) bool {
	for range rounds {
		for range spinChecks {
			if ok() {
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}

// A stepHook is called before each step of a goroutine that another goroutine can
// observe. c is the channel that the step receives from or sends to; nil if there
// is none. Tests stop goroutines in the hook, to try the steps of several
// goroutines in every order. Outside of tests the hook is nil.
type stepHook func(step string, c chan struct{})

// rounds is the number of rounds to spin: one under a hook, where nothing changes
// while a goroutine spins.
func (h stepHook) rounds() int {
	if h != nil {
		return 1
	}
	return spinRounds
}

func (h stepHook) at(step string, c chan struct{}) {
	if h != nil {
		h(step, c)
	}
}
