package lanes

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
)

// A bundle is the lanes of one way that may have several queues: of the
// interface, or sockets of one family on the port. Each queue has a lane, and
// the kernel sends every flow to one of them. Lanes know nothing of each other,
// so small packets of many flows are carried by as many cores as there are lanes.
//
// When the number of queues changes most flows move to another one. So that none
// overtakes itself, all lanes stop for the moment, and what waits where flows
// leave is carried before anything is read where they come.
type bundle struct {
	queues  Queues
	running *sync.WaitGroup
	clock   func() clock.Now
	newLane func(Source) *lane

	several atomic.Bool  // there is more than one queue
	halt    atomic.Bool  // lanes are to stop between two batches
	gate    sync.RWMutex // locked as long as they are
	due     atomic.Int64 // clock.Time of the next review
	tallies [mostQueues]tally

	mu      sync.Mutex // of who reviews, guards what follows
	breadth breadth
	lanes   []*lane // by queue
}

// Queues are where the packets of a way come from.
type Queues interface {
	// Resize is SetQueues of tun.Queues, or SetSockets of udp.MultiSocket; SteerToFirst
	// is theirs.
	Resize(n int) error
	SteerToFirst() bool
	// StayOpen reports whether a queue that gets nothing any more stays open.
	StayOpen() bool
	// Capacity is how many packets, or trains, a queue holds at most.
	Capacity() int
	// Source is one of them, to be read by a lane of its own.
	Source(i int) Source
}

// tally is what came through one queue.
type tally struct {
	reads atomic.Uint64
	ready atomic.Uint64 // of them, were there before anybody asked
	items atomic.Uint64 // packets, or trains
	bytes atomic.Uint64
	flows atomic.Uint64 // a bit for each, by a hash, since the last review
	_     [24]byte      // no other lane writes to this line of the cache
}

// totals are the sum of tallies; flows are how many were told apart.
type totals struct {
	reads, ready, items, bytes uint64
	flows                      int
}

func newBundle(q Queues, p breadth, clock func() clock.Now, running *sync.WaitGroup, newLane func(Source) *lane) *bundle {
	return &bundle{queues: q, breadth: p, clock: clock, running: running, newLane: newLane}
}

// lead leads the lane of the first queue, until the end.
func (b *bundle) lead() {
	b.mu.Lock()
	first := b.begin(0)
	b.breadth.width = 1
	if n := b.breadth.review(b.clock().Mono, totals{}); n > 1 {
		b.arrange(first, n)
	}
	b.mu.Unlock()
	first.reading.release()
	first.lead()
}

// begin makes the lane of a queue and adds it. Its reading is taken. The caller
// holds mu.
func (b *bundle) begin(i int) *lane {
	l := b.newLane(b.queues.Source(i))
	l.bundle, l.number = b, i
	l.reading.take()
	b.lanes = append(b.lanes[:i], l)
	return l
}

// between is called by the leader of each lane between two batches.
func (b *bundle) between(l *lane) {
	for b.halt.Load() {
		l.reading.release()
		b.await()
		l.reading.take()
	}
	if int64(l.last) < b.due.Load() || !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	if l.number < b.breadth.width { // or what it reads are leftovers
		b.review(l)
	}
}

// await waits until lanes need not stop any more.
func (b *bundle) await() {
	b.gate.RLock()
	defer b.gate.RUnlock()
}

// halted reports whether a lane is to stop.
func (b *bundle) halted() bool { return b != nil && b.halt.Load() }

// wide reports whether there are several queues.
func (b *bundle) wide() bool { return b != nil && b.several.Load() }

// note counts a batch of a lane.
func (b *bundle) note(l *lane, a BatchInfo, ready bool) {
	t := &b.tallies[l.number]
	t.reads.Add(1)
	t.items.Add(uint64(a.Count))
	t.bytes.Add(uint64(a.Bytes))
	if ready {
		t.ready.Add(1)
	}
	if flow := uint64(1) << (a.Flow & 63); t.flows.Load()&flow == 0 {
		t.flows.Or(flow)
	}
}

// review decides how many queues there are to be. The caller holds mu, and the
// reading of l.
func (b *bundle) review(l *lane) {
	now, flows := l.last, uint64(0)
	for i := range b.tallies {
		flows |= b.tallies[i].flows.Swap(0)
	}
	t := b.totals()
	t.flows = bits.OnesCount64(flows)
	if n := b.breadth.review(now, t); n != b.breadth.width {
		b.arrange(l, n)
		now = b.clock().Mono
	}
	b.due.Store(int64(now.Add(b.breadth.interval())))
}

func (b *bundle) totals() (t totals) {
	for i := range b.tallies {
		t.reads += b.tallies[i].reads.Load()
		t.ready += b.tallies[i].ready.Load()
		t.items += b.tallies[i].items.Load()
		t.bytes += b.tallies[i].bytes.Load()
	}
	return t
}

// arrange has n queues. The caller holds mu, and the reading of self.
func (b *bundle) arrange(self *lane, n int) {
	b.gate.Lock()
	defer b.gate.Unlock()
	b.halt.Store(true)
	stopped := slices.Clone(b.lanes)
	for _, l := range stopped {
		if l != self {
			l.reading.take()
		}
		l.order.await(l.ticket)
	}
	was := b.breadth.width
	err := b.move(was, n)
	if err != nil {
		n = was // perhaps not; but queues that have no lane get nothing for long
	}
	b.several.Store(n > 1)
	now := b.clock().Mono
	b.breadth.settle(now, b.totals(), n, err)
	b.halt.Store(false)
	for _, l := range stopped {
		if l != self {
			l.reading.release()
		}
	}
	for _, l := range b.lanes[min(len(stopped), len(b.lanes)):] {
		l.reading.release()
		b.running.Go(func() { l.lead() })
	}
}

// move changes the number of queues while all lanes stand still. First all
// packets are led to the first queue, then to n queues. The kernel may take its
// time for either, so what comes meanwhile is carried by this goroutine alone.
func (b *bundle) move(was, n int) (err error) {
	first, others := b.lanes[0], b.lanes[1:was]
	together := true
	if was > 1 {
		b.during(func() { together = b.queues.SteerToFirst() }, func() bool { return first.behind(others) })
		if !together {
			b.breadth.tell(n, "the kernel does not lead packets together: some may be lost or overtaken")
		}
		emptyAll(others, b.queues.Capacity())
	}
	b.during(func() { err = b.queues.Resize(n) }, func() bool { return first.behind(nil) })
	if err != nil {
		b.queues.Resize(was)
		return err
	}
	if !b.queues.StayOpen() {
		b.lanes = b.lanes[:min(was, n)]
	}
	for i := len(b.lanes); i < n; i++ {
		b.begin(i)
	}
	if !together { // so flows have moved from every queue to every other
		emptyAll(b.lanes[1:min(was, n)], b.queues.Capacity())
	}
	first.empty(b.queues.Capacity())
	return nil
}

// during carries, step by step, while change runs. A step reports whether there
// was anything.
func (b *bundle) during(change func(), step func() bool) {
	const rest = 100 * time.Microsecond
	var done atomic.Bool
	b.running.Go(func() {
		change()
		done.Store(true)
	})
	for !done.Load() {
		if !step() {
			time.Sleep(rest)
		}
	}
}

// behind carries one batch, and reports whether there was one. When it was read
// already, others are emptied before it is carried: a flow that has moved from
// one of them to this lane has its earlier packets there.
func (l *lane) behind(others []*lane) bool {
	a, err := l.chief.Read(false)
	some := err == nil && a.Bytes > 0
	for _, o := range others {
		for o.behind(nil) {
			some = true
		}
	}
	if err == nil && a.Bytes > 0 {
		serial(l.chief)
	}
	return some
}

func emptyAll(list []*lane, most int) {
	for _, l := range list {
		l.empty(most)
	}
}

// empty carries what waits in its queue, at most so many packets. Its caller
// holds reading, and all before is through.
func (l *lane) empty(most int) {
	for most > 0 {
		a, err := l.chief.Read(false)
		if err != nil || a.Bytes == 0 {
			return
		}
		serial(l.chief)
		most -= a.Count
	}
}
