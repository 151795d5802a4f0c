//go:build !race

package lanes

import (
	"sync"
	"testing"
)

// Rule 10 of style: to read, to wait and to take one's turn allocates nothing.
func TestLaneAllocatesNothing(t *testing.T) {
	l := newLane(newForcedPolicy(2), newGear(nil, nil, nil), nil, handles(&idle{}))
	l.policy.width = 2
	c := l.chief.(*idle)
	if n := testing.AllocsPerRun(1000, func() {
		l.reading.take()
		l.awake = 1 // nobody need be roused
		l.carry(c, BatchInfo{Bytes: 60000, At: 1}, true)
		l.reading.release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c.finished == 0 {
		t.Error("measured the wrong thing")
	}
}

// Nor does a lane of a bundle, also where it looks how many queues there are to
// be.
func TestBundleAllocatesNothing(t *testing.T) {
	f := &flood{running: &sync.WaitGroup{}}
	p := newBreadth(4, nil, nil)
	p.forced = func() int { return 1 }
	b := f.bundle(p)
	l := b.begin(0)
	if n := testing.AllocsPerRun(1000, func() {
		for range 64 {
			b.due.Store(0)
			b.between(l)
			a, _, _ := l.next(l.chief)
			l.carry(l.chief, a, true)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
