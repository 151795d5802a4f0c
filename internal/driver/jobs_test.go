package driver

import (
	"slices"
	"strings"
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
		batch := l.Next(nil)
		if len(batch) != 1 {
			t.Fatalf("%d jobs in a batch, want 1", len(batch))
		}
		order = append(order, batch[0] == own)
		l.Done(batch)
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
		l.Next(nil)
	}
	if l.Ready(3) || !l.Ready(4) {
		t.Errorf("with three jobs running: Ready(3) = %v, Ready(4) = %v; want false, true", l.Ready(3), l.Ready(4))
	}
	if l.Space(3) != 12-4 {
		t.Errorf("with three jobs running: got space %d, want %d", l.Space(3), 12-4)
	}
	l.Done([]*core.Job{other})
	if !l.Ready(3) || l.Space(3) != 12-3 {
		t.Errorf("after one of three is done: Ready(3) = %v, space %d; want true, %d", l.Ready(3), l.Space(3), 12-3)
	}
}

// answerOf returns a job that answers an initiation.
func answerOf(t *testing.T) *core.Job {
	t.Helper()
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	a.only(core.Run)
	a.m.Receive(start, from(3), initiation(t, b.private, a.public))
	j := a.only(core.Run).Job
	j.Run()
	a.m.Finish(start, j)
	return a.only(core.Run).Job
}

// names describes the jobs of a batch: o our own initiation, i the identification of a
// peer, a an answer.
func names(batch []*core.Job) (text string) {
	for _, j := range batch {
		switch {
		case j.Initiates():
			text += "o"
		case j.Products() == 1:
			text += "i"
		default:
			text += "a"
		}
	}
	return text
}

// A44: a batch begins with the job that has waited longest in the list whose turn it
// is. Beside it, there are jobs of both lists in turn, as long as their products fit.
func TestBatches(t *testing.T) {
	own, other := jobsOf(t)
	jobs := map[rune]*core.Job{'o': own, 'i': other, 'a': answerOf(t)}
	// The first jobs for a peer have one product more than later ones.
	for name, products := range map[rune]int{'o': 3, 'a': 4} {
		j := jobs[name]
		if j.Products() != products {
			t.Errorf("the first job %c has %d products, want %d", name, j.Products(), products)
		}
		j.Run()
		if j.Products() != products-1 {
			t.Errorf("job %c now has %d products, want %d", name, j.Products(), products-1)
		}
	}
	for _, c := range []struct {
		together      int
		waiting, want string
	}{
		{0, "aio", "o a i"},
		{1, "oia", "o i a"},
		{4, "i", "i"},
		{4, "ai", "ai"},
		{4, "aaii", "ai ai"},
		{4, "iiiiiiaa", "iiii ii a a"},
		{4, "aaa", "a a a"},
		{4, "ooo", "oo o"},
		{4, "oooiii", "oii io o"},
		{4, "aiiiooo", "oii ai oo"},
		{8, "aaii", "aaii"},
		{8, "aaaii", "aaii a"},
		{8, "oooooaaaa", "oao aoa oao"},
		{8, "iiiiiiiii", "iiiiiiii i"},
		{8, "", ""},
		{4, "aaaaaaaaaaaaaaai", "ai a a a a a a a a a a a a a a"},
		{4, "aaaaaaaaaaaaaaaaai", "a ai a a a a a a a a a a a a a a a"},
	} {
		l := Jobs{Together: c.together}
		for _, name := range c.waiting {
			l.Put(jobs[name])
		}
		var got []string
		for l.Ready(1) {
			batch := l.Next(nil)
			if l.Ready(1) || !l.Ready(2) && len(got) < strings.Count(c.want, " ") {
				t.Errorf("%q: with a batch running, ready for another within 1: %v, within 2: %v", c.waiting, l.Ready(1), l.Ready(2))
			}
			got = append(got, names(batch))
			l.Done(batch)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%q, %d together: batches %q, want %q", c.waiting, c.together, text, c.want)
		}
		if l.own.active != 0 || l.others.active != 0 || len(l.Clear()) != 0 {
			t.Errorf("%q: jobs are left", c.waiting)
		}
	}
}

// A44: the message that has waited longest is worked on in the second batch at the
// latest, however many smaller jobs and own initiations wait and come.
func TestTheLongestWaitingRuns(t *testing.T) {
	own, identification := jobsOf(t)
	answer := answerOf(t)
	for later := range 2 {
		if later == 1 { // one product less
			own.Run()
			answer.Run()
		}
		l := Jobs{Together: 4}
		l.Put(answer)
		for range 20 {
			l.Put(own)
			l.Put(identification)
		}
		ran := 0
		for round := 1; round <= 100 && ran == 0; round++ {
			batch := l.Next(nil)
			l.Done(batch)
			if slices.Contains(batch, answer) {
				ran = round
			}
			for _, j := range batch {
				l.Put(j) // a storm of both
			}
		}
		if ran < 1 || ran > 2 {
			t.Errorf("products: own %d, answer %d: the answer ran in batch %d of 100, want 1 or 2", own.Products(), answer.Products(), ran)
		}
	}
}

// The machine is given enough messages to fill the batches that run and those that
// follow.
func TestSpaceForBatches(t *testing.T) {
	_, other := jobsOf(t)
	for _, c := range []struct{ together, want int }{{0, 8}, {1, 8}, {4, 16}, {8, 32}} {
		l := Jobs{Together: c.together}
		if got := l.Space(2); got != c.want {
			t.Errorf("%d together: space %d, want %d", c.together, got, c.want)
		}
		for range 9 {
			l.Put(other)
		}
		l.Next(nil)
		if got := l.Space(2); got != c.want-9 {
			t.Errorf("%d together, with 9 jobs: space %d, want %d", c.together, got, c.want-9)
		}
	}
}
