package engine

import (
	"crypto/rand"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/index"
	"wgd/key"
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

// initiations returns jobs that each make an initiation, of three products.
func initiations(t *testing.T, n int) (jobs []*core.Job) {
	t.Helper()
	m := core.New(core.Options{Rand: rand.Reader, Index: index.New()})
	private := key.NewPrivate(&[32]byte{1})
	c := conf.Change{PrivateKey: &private}
	end, interval := netip.MustParseAddrPort("192.0.2.1:1"), uint16(25)
	for i := range n {
		c.Peers = append(c.Peers, conf.PeerChange{PublicKey: key.Public{9, byte(i)}, Endpoint: &end, PersistentKeepalive: &interval})
	}
	now := clock.Now{Mono: 1, Wall: time.Unix(1<<30, 0)}
	m.Up(now)
	if err := m.Apply(now, c); err != nil {
		t.Fatal(err)
	}
	for out, ok := m.Poll(); ok; out, ok = m.Poll() {
		if out.Kind == core.Run {
			jobs = append(jobs, out.Job)
		}
	}
	if len(jobs) != n || jobs[0].Products() != 3 {
		t.Fatalf("%d jobs, want %d of three products", len(jobs), n)
	}
	return jobs
}

// Each job of a batch is done once, also of the batch that runs while the workers are
// closed. The jobs that wait then are left.
func TestWorkersDoBatches(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.GOMAXPROCS(2) // one batch at once
	s := newTestWorkers(t)
	s.jobs.Together = 12
	var mu sync.Mutex
	done, sizes := map[*core.Job]int{}, []int(nil)
	s.workers.done = func(j *core.Job) {
		mu.Lock()
		defer mu.Unlock()
		done[j]++
	}
	gated := s.do
	s.do = func(batch []*core.Job) {
		mu.Lock()
		sizes = append(sizes, len(batch))
		mu.Unlock()
		gated(batch)
	}
	jobs := initiations(t, 13)
	s.put(jobs[0])
	s.expect(1)
	for _, j := range jobs[1:] {
		s.put(j)
	}
	for batch := range 2 { // ends the batches of one job and of four
		s.gate <- struct{}{}
		eventually(t, "the next batch to begin", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(sizes) == batch+2
		})
	}
	s.workers.close()
	s.close() // lets the batch in progress end
	if want := []int{1, 4, 4}; !slices.Equal(sizes, want) {
		t.Fatalf("batches of %v jobs, want %v", sizes, want)
	}
	left := s.left()
	for i, j := range jobs {
		want := 1
		if i >= 9 {
			want = 0
		}
		if done[j] != want || slices.Contains(left, j) != (want == 0) {
			t.Errorf("job %d was done %d times, left: %v; want %d times", i, done[j], slices.Contains(left, j), want)
		}
	}
	if len(left) != 4 {
		t.Errorf("%d jobs are left, want 4", len(left))
	}
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
