package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/core"
)

// shop has workers whose jobs last until they are let go.
type shop struct {
	*workers
	t       *testing.T
	running sync.WaitGroup
	gate    chan struct{}
	at      atomic.Int32 // jobs at once
	most    atomic.Int32
	done    atomic.Int32
}

func newShop(t *testing.T) *shop {
	s := &shop{t: t, gate: make(chan struct{})}
	s.workers = startWorkers(&s.running, func(*core.Job) { s.done.Add(1) })
	s.do = func(*core.Job) {
		n := s.at.Add(1)
		for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
		}
		<-s.gate
		s.at.Add(-1)
	}
	return s
}

// expect waits for so many jobs at once, and sees that there are no more.
func (s *shop) expect(n int32) {
	s.t.Helper()
	eventually(s.t, "as many jobs at once as there may be", func() bool { return s.at.Load() == n })
	time.Sleep(10 * time.Millisecond)
	if got := s.at.Load(); got != n {
		s.t.Errorf("%d jobs at once, want %d", got, n)
	}
}

func (s *shop) close() {
	close(s.gate)
	s.workers.close()
	within(s.t, patience, "the workers to end", s.running.Wait)
}

// A44, B49: one of Go's processors is never occupied by handshakes, so that the
// kernel is asked for data while a storm lasts; and one job at least is worked on.
func TestWorkersLeaveOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ processors, jobs int }{{1, 1}, {2, 1}, {3, 2}, {9, 8}} {
		runtime.GOMAXPROCS(c.processors)
		s := newShop(t)
		for range 20 {
			s.put(&core.Job{})
		}
		s.expect(int32(c.jobs))
		if room := s.room(); room != 4*c.jobs-20 {
			t.Errorf("room for %d more with %d processors and 20 jobs", room, c.processors)
		}
		s.close()
	}
}

// A44: when the number of Go's processors changes, as many jobs more or fewer are
// worked on at once, from the next job on.
func TestWorkersFollowTheProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(3)
	s := newShop(t)
	for range 100 {
		s.put(&core.Job{})
	}
	s.expect(2)
	for _, c := range []struct{ processors, jobs int }{{5, 4}, {2, 1}, {1, 1}, {4, 3}} {
		runtime.GOMAXPROCS(c.processors)
		for range 8 { // all that were begun before
			s.gate <- struct{}{}
		}
		s.expect(int32(c.jobs))
	}
	s.close()
}

// However their number changes meanwhile, every job is done, and none is left
// while a worker sleeps.
func TestWorkersDoAll(t *testing.T) {
	check := balance(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	s := newShop(t)
	close(s.gate)
	const many = 20000
	for i := range many {
		if i%50 == 0 {
			runtime.GOMAXPROCS(1 + i/50%5)
		}
		s.put(&core.Job{})
		if i%1000 == 999 {
			eventually(t, "all jobs to be done", func() bool { return s.done.Load() == int32(i+1) })
		}
	}
	s.workers.close()
	within(t, patience, "the workers to end", s.running.Wait)
	if most := s.most.Load(); most > 4 {
		t.Errorf("%d jobs at once", most)
	}
	check()
}
