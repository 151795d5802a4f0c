//go:build !race

package engine

import "testing"

// Rule 12 of style: to read, to wait and to take one's turn allocates nothing.
func TestLaneAllocatesNothing(t *testing.T) {
	l := newLane(newForcedPolicy(2), newGear(&World{}), nil, nil)
	l.policy.width = 2
	c := &idle{}
	if n := testing.AllocsPerRun(1000, func() {
		l.reading.take()
		l.awake = 1 // nobody need be roused
		l.carry(c, arrival{size: 60000, at: 1}, true)
		l.reading.release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c.finished == 0 {
		t.Error("measured the wrong thing")
	}
}

// idle carries nothing.
type idle struct{ finished int }

func (*idle) read(bool) (arrival, error) { return arrival{}, nil }
func (*idle) failed(error) bool          { return true }
func (*idle) plan() bool                 { return true }
func (*idle) work()                      {}
func (i *idle) finish()                  { i.finished++ }
func (*idle) whole()                     {}
