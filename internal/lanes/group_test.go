package lanes

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/asynctest"
	systemclock "wgd/internal/sys/clock"
)

// flood is queues in which there is always something.
type flood struct {
	running *sync.WaitGroup
	lead    atomic.Bool // all packets to the first
	over    atomic.Bool
	sets    atomic.Int64
	carried [mostQueues]atomic.Int64
}

type endless struct {
	*flood
	queue int
}

func (f *flood) Resize(int) error   { f.sets.Add(1); f.lead.Store(false); return nil }
func (f *flood) SteerToFirst() bool { f.lead.Store(true); return true }
func (f *flood) StayOpen() bool     { return true }
func (f *flood) Capacity() int      { return 10 }

func (f *flood) Source(i int) Source {
	s := handles(endless{flood: f, queue: i})
	s.Wait = func() error { time.Sleep(time.Millisecond); return nil }
	return s
}

// bundle has the queues carried by lanes of one goroutine each.
func (f *flood) bundle(p breadth) *bundle {
	return newBundle(f, p, systemclock.Now, f.running, func(s Source) *lane {
		return newLane(newForcedPolicy(1), newGear(nil, nil, nil), f.running, s)
	})
}

func (c endless) Read(bool) (BatchInfo, error) {
	if c.over.Load() {
		return BatchInfo{}, os.ErrClosed
	}
	if c.queue > 0 && c.lead.Load() {
		return BatchInfo{}, nil
	}
	return BatchInfo{Bytes: 100, Count: 1, At: systemclock.Now().Mono}, nil
}

func (c endless) Failed(error) bool { return true }
func (c endless) Prepare() bool     { return false }
func (c endless) Work()             {}
func (c endless) Finish()           { c.carried[c.queue].Add(1) }

// Lanes stop for a change, though they never run out of packets, and each goes
// on after it.
func TestBundleUnderBacklog(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // its lanes never wait
	var running sync.WaitGroup
	f := &flood{running: &running}
	p := newBreadth(4, nil, func(int, string) {})
	var asked atomic.Int64
	p.forced = func() int { return 2 + int(asked.Add(1))%3 }
	b := f.bundle(p)
	running.Go(b.lead)
	defer func() {
		f.over.Store(true)
		asynctest.Within(t, asynctest.Patience, "the end", running.Wait)
	}()
	for range 20 {
		sets, before := f.sets.Load(), f.carried[0].Load()
		asynctest.Eventually(t, "the number changes, and lanes go on", func() bool {
			return f.sets.Load() > sets && f.carried[0].Load() > before && f.carried[1].Load() > 0
		})
	}
	if f.carried[3].Load() == 0 {
		t.Error("nothing came through the fourth queue")
	}
}
