package driver

import (
	"slices"
	"testing"

	"wgd/internal/core"
)

// jobsOf returns a job for our own initiation and one for a received initiation.
func jobsOf(t *testing.T) (own, other *core.Job) {
	t.Helper()
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	own = a.only(core.Run).Job
	a.m.Receive(start, from(3), initiation(t, b.private, a.public))
	other = a.only(core.Run).Job
	if !own.Initiates() || other.Initiates() {
		t.Fatalf("jobs initiate: %v, %v; want true, false", own.Initiates(), other.Initiates())
	}
	return own, other
}

// A44: Next alternates between both lists, so neither waits until the other is
// empty; Room counts only work on received messages.
func TestJobsTakeTurns(t *testing.T) {
	var l Jobs
	own, other := jobsOf(t)
	for range 5 {
		l.Put(own)
	}
	if l.Space(1) != 4 || l.OwnWaiting() != 5 {
		t.Errorf("got space %d and %d own initiations waiting, want 4 and 5", l.Space(1), l.OwnWaiting())
	}
	for range 3 {
		l.Put(other)
	}
	if l.Space(1) != 1 || l.Space(3) != 9 {
		t.Errorf("got space %d with limit 1 and %d with limit 3, want 1 and 9", l.Space(1), l.Space(3))
	}
	var order []bool
	for range 8 {
		j := l.Next()
		order = append(order, j == own)
		l.Done(j)
	}
	if want := []bool{true, false, true, false, true, false, true, true}; !slices.Equal(order, want) {
		t.Errorf("own jobs: got %v, want %v", order, want)
	}
	l.Put(own)
	l.Put(other)
	if list := l.Clear(); len(list) != 2 || len(l.Clear()) != 0 || l.Ready(1) {
		t.Errorf("Clear returned %d jobs, want 2 and none afterwards", len(list))
	}
}

// A28, A44: the limit on running jobs covers both lists together, and running
// jobs still reduce Room.
func TestJobsAtOnce(t *testing.T) {
	var l Jobs
	own, other := jobsOf(t)
	if l.Ready(1) {
		t.Error("Ready reports true without a job")
	}
	for range 4 {
		l.Put(own)
		l.Put(other)
	}
	for running := range 3 {
		if !l.Ready(3) {
			t.Fatalf("Ready(3) reports false with %d jobs running", running)
		}
		l.Next()
	}
	if l.Ready(3) || !l.Ready(4) {
		t.Errorf("with three jobs running: Ready(3) = %v, Ready(4) = %v; want false, true", l.Ready(3), l.Ready(4))
	}
	if l.Space(3) != 12-4 {
		t.Errorf("with three jobs running: got space %d, want %d", l.Space(3), 12-4)
	}
	l.Done(other)
	if !l.Ready(3) || l.Space(3) != 12-3 {
		t.Errorf("after one of three is done: Ready(3) = %v, space %d; want true, %d", l.Ready(3), l.Space(3), 12-3)
	}
}
