package lanes

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
)

// A queueGroup has the lanes of several queues: of the interface, or of the
// sockets of one address family on the port. Each queue has a lane of its own, and
// the kernel sends every flow to one queue. No lane depends on another, so small
// packets of many flows are processed by as many cores as there are lanes.
//
// When the number of queues changes, most flows move to another queue; see resize.
type queueGroup struct {
	queues     Queues
	running    *sync.WaitGroup // counts the goroutines of the engine
	clock      func() clock.Now
	newLane    func(Source) *lane
	onDecision func(decision)
	counter    *Counter // of queues

	several   atomic.Bool  // there is more than one queue
	pausing   atomic.Bool  // lanes are to stop between two batches
	stopped   sync.RWMutex // write-locked while the lanes are stopped
	reviewDue atomic.Int64 // clock.Time of the next review
	tallies   [maxQueues]tally

	mu     sync.Mutex // held during a review; guards the fields below
	scaler QueueScaler
	width  int     // queues in use
	lanes  []*lane // by index of the queue
}

// Queues are the queues of a group: those of the interface, or the sockets of one
// address family.
type Queues interface {
	// Resize changes the number of queues, and has the kernel distribute flows over
	// all of them.
	Resize(n int) error
	// SteerToFirst has the kernel send all packets to the first queue. It reports
	// whether the kernel does so.
	SteerToFirst() bool
	// StayOpen reports whether queues that are no longer used stay open.
	StayOpen() bool
	// Capacity is the most packets, or trains, that one queue can hold.
	Capacity() int
	// Source is the queue with that index.
	Source(i int) Source
}

// A tally counts the batches and packets of one queue.
type tally struct {
	reads atomic.Uint64
	ready atomic.Uint64 // of them, batches that were waiting
	items atomic.Uint64 // packets, or trains
	bytes atomic.Uint64
	flows atomic.Uint64 // one bit per hash of a flow, since the last review
	_     [24]byte      // so that each lane writes to a cache line of its own
}

// Totals count the batches and packets of all queues of a group.
type Totals struct {
	Reads uint64 // batches
	Ready uint64 // of them, batches that were waiting when they were read
	Items uint64 // packets, or trains
	Bytes uint64
	Flows int // distinct flows seen since the last review, as far as hashes differ
}

// A QueueScaler decides how many queues a group has.
type QueueScaler interface {
	// Review returns the number of queues that the group should have. t are the
	// totals so far.
	Review(now clock.Time, t Totals) (n int)
	// Interval is the time from one review to the next.
	Interval() time.Duration
	// Resized is called after an attempt to change the number of queues. n is the
	// current number; err is the reason if the change failed.
	Resized(now clock.Time, t Totals, n int, err error)
}

// lead leads the lane of the first queue until that ends.
func (g *queueGroup) lead() {
	defer g.end()
	g.mu.Lock()
	g.setWidth(1)
	first := g.addLane(0)
	if n := g.scaler.Review(g.clock().Mono, Totals{}); n > 1 {
		g.resize(first, n)
	}
	g.mu.Unlock()
	first.reading.unlock()
	first.lead()
}

// end stops counting queues. The caller does not hold mu.
func (g *queueGroup) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setWidth(0)
}

// setWidth sets the number of queues in use. The caller holds mu.
func (g *queueGroup) setWidth(n int) {
	g.counter.add(n - g.width)
	g.width = n
}

// addLane adds the lane of a queue, with its read lock held. The caller holds mu.
func (g *queueGroup) addLane(i int) *lane {
	l := g.newLane(g.queues.Source(i))
	l.group, l.index = g, i
	l.reading.lock()
	g.lanes = append(g.lanes[:i], l)
	return l
}

// betweenBatches is called by the leader of each lane between two batches. It
// stops while the number of queues changes, and reviews that number when it is
// due.
func (g *queueGroup) betweenBatches(l *lane) {
	for g.pausing.Load() {
		l.reading.unlock()
		g.awaitResume()
		l.reading.lock()
	}
	if int64(l.lastRead) < g.reviewDue.Load() || !g.mu.TryLock() {
		return
	}
	defer g.mu.Unlock()
	if l.index < g.width { // else the queue is not used any more
		g.review(l)
	}
}

func (g *queueGroup) awaitResume() {
	g.stopped.RLock()
	defer g.stopped.RUnlock()
}

// paused reports whether lanes are to stop between two batches.
func (g *queueGroup) paused() bool { return g != nil && g.pausing.Load() }

// hasSeveral reports whether there are several queues.
func (g *queueGroup) hasSeveral() bool { return g != nil && g.several.Load() }

// note counts a batch of a lane.
func (g *queueGroup) note(l *lane, b BatchInfo, ready bool) {
	t := &g.tallies[l.index]
	t.reads.Add(1)
	t.items.Add(uint64(b.Count))
	t.bytes.Add(uint64(b.Bytes))
	if ready {
		t.ready.Add(1)
	}
	if flow := uint64(1) << (b.Flow & 63); t.flows.Load()&flow == 0 {
		t.flows.Or(flow)
	}
}

// review lets the scaler decide on the number of queues, and changes it. The
// caller holds mu, and the read lock of l, which is its own lane.
func (g *queueGroup) review(l *lane) {
	now, flows := l.lastRead, uint64(0)
	for i := range g.tallies {
		flows |= g.tallies[i].flows.Swap(0)
	}
	t := g.totals()
	t.Flows = bits.OnesCount64(flows)
	if n := g.scaler.Review(now, t); n != g.width {
		g.resize(l, n)
		now = g.clock().Mono
	}
	g.reviewDue.Store(int64(now.Add(g.scaler.Interval())))
}

func (g *queueGroup) totals() (t Totals) {
	for i := range g.tallies {
		t.Reads += g.tallies[i].reads.Load()
		t.Ready += g.tallies[i].ready.Load()
		t.Items += g.tallies[i].items.Load()
		t.Bytes += g.tallies[i].bytes.Load()
	}
	return t
}
