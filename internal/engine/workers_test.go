package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/core"
)

// testWorkers are workers whose jobs last until the gate lets them end.
type testWorkers struct {
	*workers
	t          *testing.T
	running    sync.WaitGroup
	gate       chan struct{}
	active     atomic.Int32 // jobs running
	maxRunning atomic.Int32
	done       atomic.Int32
}

func newTestWorkers(t *testing.T) *testWorkers {
	s := &testWorkers{t: t, gate: make(chan struct{})}
	s.workers = startWorkers(&s.running, func(*core.Job) { s.done.Add(1) })
	s.jobs.Together = 1
	s.do = func([]*core.Job) {
		n := s.active.Add(1)
		for old := s.maxRunning.Load(); n > old && !s.maxRunning.CompareAndSwap(old, n); old = s.maxRunning.Load() {
		}
		<-s.gate
		s.active.Add(-1)
	}
	return s
}

// expect waits until n jobs run at once, and checks that there are no more.
func (s *testWorkers) expect(n int32) {
	s.t.Helper()
	eventually(s.t, "the expected number of jobs runs", func() bool { return s.active.Load() == n })
	time.Sleep(10 * time.Millisecond)
	if got := s.active.Load(); got != n {
		s.t.Errorf("%d jobs at once, want %d", got, n)
	}
}

func (s *testWorkers) close() {
	close(s.gate)
	s.workers.close()
	within(s.t, patience, "the workers to end", s.running.Wait)
}

// A44, B49: handshakes never occupy the last of Go's processors, so that data is
// received during a storm. At least one job runs.
func TestWorkersLeaveOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ processors, jobs int }{{1, 1}, {2, 1}, {3, 2}, {9, 8}} {
		runtime.GOMAXPROCS(c.processors)
		s := newTestWorkers(t)
		for range 20 {
			s.put(&core.Job{})
		}
		s.expect(int32(c.jobs))
		if room := s.room(); room != 4*c.jobs-20 {
			t.Errorf("with %d processors and 20 jobs there is room for %d, want %d", c.processors, room, 4*c.jobs-20)
		}
		s.close()
	}
}

// A44: the number of jobs that run at once follows the number of Go's processors,
// from the next job on.
func TestWorkersFollowTheProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(3)
	s := newTestWorkers(t)
	for range 100 {
		s.put(&core.Job{})
	}
	s.expect(2)
	for _, c := range []struct{ processors, jobs int }{{5, 4}, {2, 1}, {1, 1}, {4, 3}} {
		runtime.GOMAXPROCS(c.processors)
		for range 8 { // ends all jobs that began before
			s.gate <- struct{}{}
		}
		s.expect(int32(c.jobs))
	}
	s.close()
}

// Every job is done however the number of processors changes, and none waits while
// a worker is idle.
func TestWorkersDoAll(t *testing.T) {
	check := balance(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	s := newTestWorkers(t)
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
	if n := s.maxRunning.Load(); n > 4 {
		t.Errorf("%d jobs at once", n)
	}
	check()
}
