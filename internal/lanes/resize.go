package lanes

import (
	"slices"
	"time"
)

// pollInterval is the pause of a goroutine that waits for the kernel and finds no
// packets in the meantime.
const pollInterval = 100 * time.Microsecond

// resize changes the number of queues to n. Most flows move to another queue then.
// To keep the order of packets within each flow, it
//
//  1. pauses all lanes,
//  2. has the kernel steer all packets to the first queue,
//  3. drains the other queues, and only then processes what the first one has,
//  4. has the kernel distribute packets over n queues, or over the old number if it
//     refuses,
//  5. drains the first queue, where packets of all flows may still wait,
//  6. resumes the lanes.
//
// Steps 2 and 4 may take the kernel some time. Meanwhile this goroutine processes
// what arrives. The caller holds mu, and the read lock of self.
func (g *queueGroup) resize(self *lane, n int) {
	g.stopped.Lock()
	defer g.stopped.Unlock()
	old := g.width

	paused := g.pause(self)
	steered := g.steerToFirst(old)
	if !steered {
		g.onDecision(decision{number: n, reason: NotSteered})
	}
	g.drain(g.lanes[1:old])
	added, err := g.distribute(old, n)
	if err != nil {
		n = old
	}
	if !steered { // so any flow may have moved from any queue to any other
		g.drain(g.lanes[1:min(old, n)])
	}
	g.drain(g.lanes[:1])
	g.several.Store(n > 1)
	g.setWidth(n)
	g.scaler.Resized(g.clock().Mono, g.totals(), n, err)
	g.resume(self, paused, added)
}

// pause stops all lanes between two batches, and returns them. Then all batches
// that were read are finished, and this goroutine holds the read locks of all.
func (g *queueGroup) pause(self *lane) (paused []*lane) {
	g.pausing.Store(true)
	paused = slices.Clone(g.lanes)
	for _, l := range paused {
		if l != self {
			l.reading.lock()
		}
		l.sequencer.wait(l.nextTicket)
	}
	return paused
}

// steerToFirst has the kernel send all packets to the first of the old queues. It
// reports whether the kernel does so. Packets that arrive in the first queue
// meanwhile are processed after those of the others, because a flow that has moved
// to the first queue may have earlier packets in another one.
func (g *queueGroup) steerToFirst(old int) (steered bool) {
	if old == 1 {
		return true
	}
	first, others := g.lanes[0], g.lanes[1:old]
	return processDuring(g, g.queues.SteerToFirst, func() bool { return first.processAfter(others) })
}

// distribute has the kernel distribute packets over n queues, and adds the lanes of
// those that are new. If that fails, it goes back to the old number. Whether or not
// the kernel follows at once, queues without a lane soon get no packets.
func (g *queueGroup) distribute(old, n int) (added []*lane, err error) {
	err = processDuring(g, func() error { return g.queues.Resize(n) }, g.lanes[0].processOne)
	if err != nil {
		g.queues.Resize(old)
		return nil, err
	}
	if !g.queues.StayOpen() {
		g.lanes = g.lanes[:min(old, n)]
	}
	for i := len(g.lanes); i < n; i++ {
		added = append(added, g.addLane(i))
	}
	return added, nil
}

// resume lets the paused lanes continue, except self, which does so by itself, and
// starts those that were added.
func (g *queueGroup) resume(self *lane, paused, added []*lane) {
	g.pausing.Store(false)
	for _, l := range paused {
		if l != self {
			l.reading.unlock()
		}
	}
	for _, l := range added {
		l.reading.unlock()
		g.running.Go(l.lead)
	}
}

// processDuring calls change in another goroutine and returns its result. Until
// then it calls process again and again, which reports whether there was anything
// to process.
func processDuring[T any](g *queueGroup, change func() T, process func() bool) T {
	result := make(chan T, 1)
	g.running.Go(func() { result <- change() })
	for {
		select {
		case r := <-result:
			return r
		default:
		}
		if !process() {
			time.Sleep(pollInterval)
		}
	}
}

// drain processes what waits in the queues of the lanes.
func (g *queueGroup) drain(lanes []*lane) {
	for _, l := range lanes {
		l.drain(g.queues.Capacity())
	}
}

// drain processes what waits in the queue of the lane: at most limit packets, in
// case more arrive all the time. The caller holds reading, and all batches that
// were read before are finished; the same holds for processOne and processAfter.
func (l *lane) drain(limit int) {
	for limit > 0 {
		b, err := l.leader.Read(false)
		if err != nil || b.Bytes == 0 {
			return
		}
		processAlone(l.leader)
		limit -= b.Count
	}
}

// processOne processes one batch, and reports whether there was one.
func (l *lane) processOne() bool {
	b, err := l.leader.Read(false)
	if err != nil || b.Bytes == 0 {
		return false
	}
	processAlone(l.leader)
	return true
}

// processAfter reads one batch, then processes all that waits in the queues of
// others, and then the batch. It reports whether there was anything.
func (l *lane) processAfter(others []*lane) (some bool) {
	b, err := l.leader.Read(false)
	read := err == nil && b.Bytes > 0
	for _, o := range others {
		for o.processOne() {
			some = true
		}
	}
	if read {
		processAlone(l.leader)
	}
	return some || read
}
