package netstack

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Through a path of 66 ms on which 1 % of the packets are late by 5 ms, and none is
// lost, a stream retransmits nothing, and is many times as fast as one whose stack
// takes these for losses: 15 times are usual, and here it must be 3 times. If the
// other one is as fast, the stack may have learned to tolerate late packets, and holes
// is not needed any more.
func TestLatePacketsAreNotLosses(t *testing.T) {
	const amount = 16 << 20
	took := map[bool]time.Duration{}
	for _, showSACKs := range []bool{false, true} {
		v := newVirtualPath(t)
		v.pass = late(rand.New(rand.NewPCG(1, 2)))
		if showSACKs {
			v.a.holes.patience = func(flow) time.Duration { return 0 }
		}
		var received int
		took[showSACKs], received = v.transfer(80, amount, time.Minute)
		s := v.a.stack.Stats().TCP
		again, recoveries := s.Retransmits.Value(), s.SACKRecovery.Value()+s.FastRecovery.Value()
		t.Logf("the stack sees all SACKs: %v: %d bytes in %v, %d retransmissions, %d recoveries", showSACKs, received, took[showSACKs], again, recoveries)
		if received != amount {
			t.Errorf("%d bytes were received, want %d", received, amount)
		}
		if !showSACKs && again+recoveries > 0 {
			t.Errorf("%d retransmissions and %d recoveries, although nothing was lost", again, recoveries)
		}
	}
	if took[true] < 3*took[false] {
		t.Errorf("a stream took %v, and %v if its stack sees all SACKs: want 3 times as long", took[false], took[true])
	}
}

// late makes a path of 66 ms on which 1 % of the packets, at random, are late by
// 5 ms.
func late(random *rand.Rand) func([]byte, bool) (time.Duration, bool) {
	return func([]byte, bool) (time.Duration, bool) {
		if random.Float64() < 0.01 {
			return 38 * time.Millisecond, false
		}
		return 33 * time.Millisecond, false
	}
}
