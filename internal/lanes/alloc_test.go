//go:build !race

package lanes

import (
	"sync"
	"testing"
)

// Style rule 10: reading, waiting and keeping the order allocate nothing.
func TestLaneAllocatesNothing(t *testing.T) {
	l := newLane(FixedSpread(2), newGovernor(nil, nil, nil), &Counter{}, nil, single(&nothing{}))
	h := l.leader.(*nothing)
	if n := testing.AllocsPerRun(1000, func() {
		l.reading.lock()
		l.active = 1 // so that no follower is woken
		l.process(h, BatchInfo{Bytes: 60000, At: 1}, true)
		l.reading.unlock()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if h.finished == 0 {
		t.Error("no batch was finished during the measurement")
	}
}

// A lane of a queue group allocates nothing either, including its reviews of the
// number of queues.
func TestGroupAllocatesNothing(t *testing.T) {
	q := &fullQueues{running: &sync.WaitGroup{}}
	g := q.group(wanted(func() int { return 1 }))
	l := g.addLane(0)
	if n := testing.AllocsPerRun(1000, func() {
		for range 64 {
			g.reviewDue.Store(0)
			g.betweenBatches(l)
			b, _, _ := l.next(l.leader)
			l.process(l.leader, b, true)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
