package lanes

import (
	"slices"
	"sync/atomic"
	"time"
)

// resize changes the number of queues to n. The caller holds mu, and the read lock
// of self.
func (g *queueGroup) resize(self *lane, n int) {
	g.gate.Lock()
	defer g.gate.Unlock()
	g.pausing.Store(true)
	stopped := slices.Clone(g.lanes)
	for _, l := range stopped {
		if l != self {
			l.reading.lock()
		}
		l.sequencer.wait(l.nextTicket)
	}
	was := g.scaler.width
	err := g.move(was, n)
	if err != nil {
		n = was // perhaps not; but queues that have no lane get nothing for long
	}
	g.several.Store(n > 1)
	now := g.clock().Mono
	g.scaler.resized(now, g.totals(), n, err)
	g.pausing.Store(false)
	for _, l := range stopped {
		if l != self {
			l.reading.unlock()
		}
	}
	for _, l := range g.lanes[min(len(stopped), len(g.lanes)):] {
		l.reading.unlock()
		g.running.Go(func() { l.lead() })
	}
}

// move changes the number of queues while all lanes stand still. First all
// packets are led to the first queue, then to n queues. The kernel may take its
// time for either, so what comes meanwhile is carried by this goroutine alone.
func (g *queueGroup) move(was, n int) (err error) {
	first, others := g.lanes[0], g.lanes[1:was]
	together := true
	if was > 1 {
		g.during(func() { together = g.queues.SteerToFirst() }, func() bool { return first.behind(others) })
		if !together {
			g.scaler.tell(n, "the kernel does not lead packets together: some may be lost or overtaken")
		}
		drainAll(others, g.queues.Capacity())
	}
	g.during(func() { err = g.queues.Resize(n) }, func() bool { return first.behind(nil) })
	if err != nil {
		g.queues.Resize(was)
		return err
	}
	if !g.queues.StayOpen() {
		g.lanes = g.lanes[:min(was, n)]
	}
	for i := len(g.lanes); i < n; i++ {
		g.addLane(i)
	}
	if !together { // so flows have moved from every queue to every other
		drainAll(g.lanes[1:min(was, n)], g.queues.Capacity())
	}
	first.drain(g.queues.Capacity())
	return nil
}

// during carries, step by step, while change runs. A step reports whether there
// was anything.
func (g *queueGroup) during(change func(), step func() bool) {
	const rest = 100 * time.Microsecond
	var done atomic.Bool
	g.running.Go(func() {
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
	b, err := l.leader.Read(false)
	some := err == nil && b.Bytes > 0
	for _, o := range others {
		for o.behind(nil) {
			some = true
		}
	}
	if err == nil && b.Bytes > 0 {
		processAlone(l.leader)
	}
	return some
}

func drainAll(list []*lane, most int) {
	for _, l := range list {
		l.drain(most)
	}
}

// drain processes what waits in its queue, at most so many packets. Its caller
// holds reading, and all before is through.
func (l *lane) drain(most int) {
	for most > 0 {
		b, err := l.leader.Read(false)
		if err != nil || b.Bytes == 0 {
			return
		}
		processAlone(l.leader)
		most -= b.Count
	}
}
