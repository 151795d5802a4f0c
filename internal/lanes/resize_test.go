package lanes

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/clock"
	systemclock "wgd/internal/sys/clock"
)

// flowQueues are queues with the packets of several flows. The kernel that fills
// them is simulated: packets arrive while it changes something, and go to the queue
// where it distributes their flow at that moment.
type flowQueues struct {
	t        testing.TB
	steers   bool  // SteerToFirst succeeds
	refuse   error // of the first Resize
	stayOpen bool

	mu       sync.Mutex
	handlers []*flowHandler
	n        int // flows are distributed over this many queues
	steered  int // except this many flows, which go to the first
	waiting  [maxQueues][]flowPacket
	arrived  [flowCount]int // packets of each flow
	finished [flowCount]int
	before   [flowCount]int // that had arrived when flows were last distributed
	swapped  int            // packets that were finished out of order
	closed   bool
}

type flowPacket struct{ flow, number int }

const flowCount = 20

// arrive adds some packets of each flow. The caller holds mu.
func (q *flowQueues) arrive() {
	for flow := range flowCount {
		i := flow % q.n
		if flow < q.steered {
			i = 0
		}
		for range 3 {
			q.waiting[i] = append(q.waiting[i], flowPacket{flow, q.arrived[flow]})
			q.arrived[flow]++
		}
	}
}

// change adds packets before and after each step of a change. Before each step it
// leaves time to read some of them.
func (q *flowQueues) change(steps ...func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arrive()
	for _, step := range steps {
		q.mu.Unlock()
		time.Sleep(2 * pollInterval)
		q.mu.Lock()
		q.arrive()
		step()
		q.arrive()
	}
}

// SteerToFirst steers half of the flows before the others.
func (q *flowQueues) SteerToFirst() bool {
	steer := func(flows int) func() {
		return func() {
			if q.steers {
				q.steered = flows
			}
		}
	}
	q.change(steer(flowCount/2), steer(flowCount))
	return q.steers
}

func (q *flowQueues) Resize(n int) (err error) {
	q.change(func() {
		if err, q.refuse = q.refuse, nil; err != nil {
			return
		}
		q.n, q.steered, q.before = n, 0, q.arrived
		for _, h := range q.handlers {
			h.closed = h.closed || !q.stayOpen && h.index >= n
		}
	})
	return err
}

func (q *flowQueues) StayOpen() bool { return q.stayOpen }
func (q *flowQueues) Capacity() int  { return 1000 }

func (q *flowQueues) Source(i int) Source {
	h := &flowHandler{queues: q, index: i}
	q.handlers = append(q.handlers, h)
	s := single(h)
	s.Wait = func() error { return h.await(nil) }
	return s
}

type flowHandler struct {
	queues *flowQueues
	index  int
	packet flowPacket
	closed bool // guarded by queues.mu
}

// await waits until there is a packet. Unless take is nil, it moves the packet there.
func (h *flowHandler) await(take *flowPacket) error {
	for ; ; time.Sleep(pollInterval) {
		if n, err := h.poll(take); n > 0 || err != nil {
			return err
		}
	}
}

func (h *flowHandler) poll(take *flowPacket) (n int, err error) {
	q := h.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	list := &q.waiting[h.index]
	switch {
	case q.closed || h.closed:
		return 0, os.ErrClosed
	case len(*list) > 0:
		if take != nil {
			*take, *list = (*list)[0], (*list)[1:]
		}
		return 1, nil
	}
	return 0, nil
}

func (h *flowHandler) Read(wait bool) (b BatchInfo, err error) {
	if wait {
		b.Count, err = 1, h.await(&h.packet)
	} else {
		b.Count, err = h.poll(&h.packet)
	}
	b.Bytes, b.At = 100*b.Count, systemclock.Now().Mono
	return b, err
}

func (h *flowHandler) Failed(error) bool { return true }
func (h *flowHandler) Prepare() bool     { return false }
func (h *flowHandler) Work()             {}

func (h *flowHandler) Finish() {
	h.queues.mu.Lock()
	defer h.queues.mu.Unlock()
	if h.packet.number != h.queues.finished[h.packet.flow] {
		h.queues.swapped++
	}
	h.queues.finished[h.packet.flow]++
}

// late returns the packets that arrived before flows were last distributed and
// still wait in one of the first n queues.
func (q *flowQueues) late(n int) (list []flowPacket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, waiting := range q.waiting[:n] {
		for _, p := range waiting {
			if p.number < q.before[p.flow] {
				list = append(list, p)
			}
		}
	}
	return list
}

// A resizeCheck is a scaler that looks at the queues before the lanes resume.
type resizeCheck struct{ resized func(n int, err error) }

func (resizeCheck) Review(clock.Time, Totals) int                      { panic("no review is due") }
func (resizeCheck) Interval() time.Duration                            { return time.Hour }
func (c resizeCheck) Resized(_ clock.Time, _ Totals, n int, err error) { c.resized(n, err) }

// Whatever arrives while the number of queues changes, and changes back, no packet
// overtakes another of its flow and none is lost, also when a change is refused. If
// the kernel does not steer all packets to the first queue, some may overtake others
// or be lost, but what waits in queues that stay is processed before the lanes
// resume.
func TestResizeKeepsOrder(t *testing.T) {
	for _, c := range []struct{ old, n int }{{1, 4}, {3, 5}, {5, 2}, {4, 1}} {
		for i := range 8 {
			q := &flowQueues{t: t, n: c.old, steers: i&1 == 0, stayOpen: i&4 == 0}
			if i&2 != 0 {
				q.refuse = errors.New("no more")
			}
			t.Run(fmt.Sprintf("%d to %d, steers %v, refused %v, stay open %v", c.old, c.n, q.steers, q.refuse, q.stayOpen), func(t *testing.T) {
				q.resize(t, c.old, c.n)
			})
		}
	}
}

func (q *flowQueues) resize(t *testing.T, old, n int) {
	refused, width, calls := q.refuse, old, 0
	check := resizeCheck{func(got int, err error) {
		calls++
		want, wantErr := n, refused
		if refused != nil || calls == 2 { // the second time it changes back
			want = old
		}
		if calls == 2 {
			wantErr = nil
		}
		if got != want || err != wantErr {
			t.Errorf("Resized got %d queues, error %v; want %d, %v", got, err, want, wantErr)
		}
		if late := q.late(min(width, got)); len(late) > 0 {
			t.Errorf("%d packets that arrived before the change still wait, the first is number %d of flow %d", len(late), late[0].number, late[0].flow)
		}
		width = got
	}}
	var running sync.WaitGroup
	g := newGroup(q, check, &running)
	for i := range old {
		if l := g.addLane(i); i > 0 {
			l.reading.unlock()
		}
	}
	g.width = old
	g.several.Store(old > 1)
	g.reviewDue.Store(math.MaxInt64) // never
	begun := slices.Clone(g.lanes)
	q.mu.Lock()
	q.arrive()
	q.mu.Unlock()

	g.mu.Lock()
	g.resize(begun[0], n)
	g.resize(begun[0], old)
	g.mu.Unlock()
	begun[0].reading.unlock()
	for _, l := range begun {
		running.Go(l.lead)
	}
	if calls != 2 {
		t.Errorf("Resized was called %d times, want 2", calls)
	}
	if q.steers || q.stayOpen { // otherwise packets in closed queues are lost
		asynctest.Eventually(t, "all packets are finished", func() bool {
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.finished == q.arrived
		})
	}
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	asynctest.Within(t, asynctest.Timeout, "the end", running.Wait)
	if q.steers && q.swapped > 0 {
		t.Errorf("%d packets are out of order", q.swapped)
	}
}

// pause returns only when all batches that were read are finished, including those
// that followers still work on. Otherwise packets that are drained afterwards could
// overtake them.
func TestPauseWaitsForSharedBatches(t *testing.T) {
	for _, own := range []bool{true, false} { // the batch is of the lane that pauses the others, or of another one
		q := &flowQueues{t: t, n: 2}
		g := newGroup(q, resizeCheck{}, new(sync.WaitGroup))
		self, busy := g.addLane(0), g.addLane(1)
		busy.reading.unlock()
		if own {
			busy = self
		}
		busy.nextTicket = 1 // ticket 0 is drawn

		paused := make(chan struct{})
		go func() {
			defer close(paused)
			g.pause(self)
		}()
		asynctest.Eventually(t, "the pause begins", g.pausing.Load)
		select {
		case <-paused:
			t.Errorf("own %v: the pause does not wait for the batch", own)
		case <-time.After(20 * time.Millisecond):
		}
		busy.sequencer.done(0)
		asynctest.Within(t, asynctest.Timeout, "the pause", func() { <-paused })
	}
}
