package lanes

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/clock"
	systemclock "wgd/internal/sys/clock"
)

// fullQueues are queues in which there is always a packet.
type fullQueues struct {
	running  *sync.WaitGroup
	steered  atomic.Bool // all packets go to the first
	closed   atomic.Bool
	resizes  atomic.Int64
	finished [maxQueues]atomic.Int64
}

type fullQueue struct {
	*fullQueues
	index int
}

func (q *fullQueues) Resize(int) error   { q.resizes.Add(1); q.steered.Store(false); return nil }
func (q *fullQueues) SteerToFirst() bool { q.steered.Store(true); return true }
func (q *fullQueues) StayOpen() bool     { return true }
func (q *fullQueues) Capacity() int      { return 10 }

func (q *fullQueues) Source(i int) Source {
	s := single(fullQueue{fullQueues: q, index: i})
	s.Wait = func() error { time.Sleep(time.Millisecond); return nil }
	return s
}

func (q *fullQueues) group(s QueueScaler) *queueGroup {
	return newGroup(q, s, q.running)
}

// newGroup makes a group whose lanes have one goroutine each.
func newGroup(q Queues, s QueueScaler, running *sync.WaitGroup) *queueGroup {
	return &queueGroup{
		queues: q, scaler: s, running: running, clock: systemclock.Now, onDecision: func(decision) {}, counter: &Counter{},
		newLane: func(s Source) *lane {
			return newLane(FixedSpread(1), newGovernor(nil, nil, nil), &Counter{}, running, s)
		},
	}
}

// A wanted is a QueueScaler that sets the number of queues to what it returns.
type wanted func() int

func (n wanted) Review(clock.Time, Totals) int        { return n() }
func (wanted) Interval() time.Duration                { return reviewInterval / 50 }
func (wanted) Resized(clock.Time, Totals, int, error) {}

func (q fullQueue) Read(bool) (BatchInfo, error) {
	if q.closed.Load() {
		return BatchInfo{}, os.ErrClosed
	}
	if q.index > 0 && q.steered.Load() {
		return BatchInfo{}, nil
	}
	return BatchInfo{Bytes: 100, Count: 1, At: systemclock.Now().Mono}, nil
}

func (q fullQueue) Failed(error) bool { return true }
func (q fullQueue) Prepare() bool     { return false }
func (q fullQueue) Work()             {}
func (q fullQueue) Finish()           { q.finished[q.index].Add(1) }

// Lanes that never run out of packets still stop for a change of the number of
// queues, and each of them continues after it.
func TestGroupUnderBacklog(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // because the lanes never wait
	var running sync.WaitGroup
	q := &fullQueues{running: &running}
	var reviews atomic.Int64
	running.Go(q.group(wanted(func() int { return 2 + int(reviews.Add(1))%3 })).lead)
	defer func() {
		q.closed.Store(true)
		asynctest.Within(t, asynctest.Timeout, "the end", running.Wait)
	}()
	for range 20 {
		resizes, before := q.resizes.Load(), q.finished[0].Load()
		asynctest.Eventually(t, "the number changes, and lanes continue", func() bool {
			return q.resizes.Load() > resizes && q.finished[0].Load() > before && q.finished[1].Load() > 0
		})
	}
	if q.finished[3].Load() == 0 {
		t.Error("no batch of the fourth queue was finished")
	}
}
