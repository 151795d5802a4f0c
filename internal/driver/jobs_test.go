package driver

import (
	"slices"
	"testing"

	"wgd/internal/core"
)

// jobsOf are a job of our own and one of an initiation that came in.
func jobsOf(t *testing.T) (own, other *core.Job) {
	t.Helper()
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	own = a.only(core.Run).Job
	a.m.Receive(start, from(3), initiation(t, b.private, a.public))
	other = a.only(core.Run).Job
	if !own.Initiates() || other.Initiates() {
		t.Fatal("other jobs than expected")
	}
	return own, other
}

// A44: jobs are taken from both lists in turn, so neither waits for the other to
// be empty; room counts only work on what came in.
func TestJobsTakeTurns(t *testing.T) {
	var l Jobs
	own, other := jobsOf(t)
	for range 5 {
		l.Put(own)
	}
	if l.Room(1) != 4 || l.OwnWaiting() != 5 {
		t.Errorf("room %d beside initiations of our own, of which %d wait", l.Room(1), l.OwnWaiting())
	}
	for range 3 {
		l.Put(other)
	}
	if l.Room(1) != 1 || l.Room(3) != 9 {
		t.Errorf("room %d for one job at once, %d for three", l.Room(1), l.Room(3))
	}
	var order []bool
	for range 8 {
		j := l.Next()
		order = append(order, j == own)
		l.Done(j)
	}
	if want := []bool{true, false, true, false, true, false, true, true}; !slices.Equal(order, want) {
		t.Errorf("ours: %v, want %v", order, want)
	}
	l.Put(own)
	l.Put(other)
	if list := l.Clear(); len(list) != 2 || len(l.Clear()) != 0 || l.Ready(1) {
		t.Errorf("%d were left, or still are", len(list))
	}
}

// A28, A44: no more jobs run at once than may, of both lists together, and those
// that run still take their room.
func TestJobsAtOnce(t *testing.T) {
	var l Jobs
	own, other := jobsOf(t)
	if l.Ready(1) {
		t.Error("ready without a job")
	}
	for range 4 {
		l.Put(own)
		l.Put(other)
	}
	for running := range 3 {
		if !l.Ready(3) {
			t.Fatalf("not ready with %d running", running)
		}
		l.Next()
	}
	if l.Ready(3) || !l.Ready(4) {
		t.Error("three run, of three")
	}
	if l.Room(3) != 12-4 {
		t.Errorf("room %d", l.Room(3))
	}
	l.Done(other)
	if !l.Ready(3) || l.Room(3) != 12-3 {
		t.Errorf("one of three is done: room %d", l.Room(3))
	}
}
