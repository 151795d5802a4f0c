package lanes

import (
	"runtime"
	"sync"
	"time"

	"wgd/internal/clock"
)

// maxIdle is how long a follower sleeps before it ends.
const maxIdle = 10 * time.Second

// A lane processes the packets of one source.
//
// While one core suffices, one goroutine, the leader, reads a batch, processes it,
// and reads the next. When one core does not suffice, followers join it. Then a
// goroutine that has read a large batch lets another goroutine read the next one,
// and does most of the work on its own batch while the others work on theirs.
// Tickets keep the order: a ticket is drawn while reading, so tickets are in the
// order of reading, and a batch is finished when the sequencer comes to its
// ticket. During a backlog no goroutine sleeps, and no batch moves between
// goroutines; that is what makes it cheap.
type lane struct {
	source   Source
	running  *sync.WaitGroup // counts the goroutines of the engine
	governor *governor
	counter  *Counter // of goroutines
	leader   Handler

	group *queueGroup // nil if the source is not a queue of one
	index int         // of the queue in the group

	// reading is held by the goroutine that reads. A leader without followers
	// always holds it.
	reading *readLock

	// Guarded by reading.
	policy     SpreadPolicy
	width      int        // of the policy, as far as it is counted
	turnStart  clock.Time // when the lane last waited for a batch, or yielded
	lastRead   clock.Time // when the last batch was read
	nextTicket uint64     // of the next batch that is shared
	active     int        // followers that are awake
	ended      bool       // the leader has ended

	idleTimeout time.Duration // after which a follower that is not needed ends
	followersMu sync.Mutex    // guards followers, and which of them is woken or ends
	followers   int           // followers that there are
	wake        chan struct{} // one token for each follower that is to wake up
	done        chan struct{} // closed when the leader has ended
	sequencer   *sequencer
}

// A SpreadPolicy decides over how many goroutines a lane is spread. Its methods are
// called by goroutines that hold the read lock.
type SpreadPolicy interface {
	// Note is called for each batch, with the number of followers that are active.
	// ready says that the batch was waiting when it was read. Note returns whether the
	// batch may be shared, that is, processed at the same time as others, and whether
	// to wake another follower.
	Note(b BatchInfo, ready bool, active int) (share, wake bool)
	// RanEmpty is called when a follower finds nothing to read.
	RanEmpty()
	// Width is the number of goroutines at present, with the leader.
	Width() int
	// Max is the greatest width that there can be.
	Max() int
}

// FixedSpread is a policy of always n goroutines, which share every batch.
func FixedSpread(n int) SpreadPolicy { return fixedSpread(n) }

type fixedSpread int

func (n fixedSpread) Note(_ BatchInfo, _ bool, active int) (share, wake bool) {
	return n > 1, active < int(n)-1
}

func (n fixedSpread) RanEmpty()  {}
func (n fixedSpread) Width() int { return int(n) }
func (n fixedSpread) Max() int   { return int(n) }

func newLane(p SpreadPolicy, g *governor, c *Counter, running *sync.WaitGroup, s Source) *lane {
	return &lane{
		source:      s,
		leader:      s.NewHandler(),
		running:     running,
		governor:    g,
		counter:     c,
		reading:     newReadLock(),
		policy:      p,
		idleTimeout: maxIdle,
		wake:        make(chan struct{}, p.Max()),
		done:        make(chan struct{}),
		sequencer:   newSequencer(p.Max()),
	}
}

// lead reads and processes batches until the source ends.
func (l *lane) lead() {
	h := l.leader
	defer runtime.KeepAlive(h) // package pages reuses its buffers afterwards
	l.reading.lock()
	defer close(l.done)
	defer l.reading.unlock()
	l.setWidth(l.policy.Width())
	defer l.setWidth(0)
	yielder := l.governor.newYielder()
	defer yielder.Close()
	for {
		if l.group != nil {
			l.group.betweenBatches(l)
		}
		if l.governor.yieldAfterTurn(yielder, l.lastRead, l.turnStart) {
			l.turnStart = l.lastRead
		}
		b, ready, err := l.next(h)
		if err == nil {
			l.process(h, b, ready)
		} else if l.handleError(h, err) {
			l.ended = true
			return
		}
	}
}

// handleError reports whether the lane is to end. The other lanes of a group need
// not wait while it pauses.
func (l *lane) handleError(h Handler, err error) (end bool) {
	if l.group != nil {
		l.reading.unlock()
		defer l.reading.lock()
	}
	return h.Failed(err)
}

// next reads the next batch, and waits for it. ready reports that it did not have
// to wait.
func (l *lane) next(h Handler) (b BatchInfo, ready bool, err error) {
	if l.policy.Max() > 1 || l.governor.mayYield() || l.group != nil {
		if b, err = h.Read(false); err != nil || b.Bytes > 0 {
			return b, true, err
		}
	}
	for l.group.hasSeveral() || l.index > 0 { // the group may have to stop this lane meanwhile
		l.reading.unlock()
		err = l.source.Wait()
		l.reading.lock()
		if err != nil {
			return b, false, err
		}
		if b, err = h.Read(false); err != nil || b.Bytes > 0 {
			l.turnStart = b.At
			return b, false, err
		}
	}
	b, err = h.Read(true)
	l.turnStart = b.At
	return b, false, err
}

// follow reads and processes batches during a backlog, and sleeps otherwise.
func (l *lane) follow(h Handler) {
	defer runtime.KeepAlive(h)
	for {
		l.reading.lock()
		for !l.ended && !l.group.paused() && l.active < l.policy.Width() {
			b, err := h.Read(false)
			if err != nil || b.Bytes == 0 {
				l.policy.RanEmpty() // the leader meets the error next
				break
			}
			l.process(h, b, true)
		}
		l.active--
		l.reading.unlock()
		if !l.sleep() {
			return
		}
	}
}

// sleep sleeps until the follower is woken, and returns true. A follower that is
// not needed for long, or whose leader has ended, is to end: sleep returns false.
// So its buffers, and the routing table that it saw last, are not kept in vain.
func (l *lane) sleep() bool {
	timer := time.NewTimer(l.idleTimeout)
	defer timer.Stop()
	select {
	case <-l.wake:
		return true
	case <-l.done:
		return false
	case <-timer.C:
	}
	l.followersMu.Lock() // not reading, which a leader holds while it waits
	defer l.followersMu.Unlock()
	select {
	case <-l.wake:
		return true
	default:
		l.followers--
		return false
	}
}

// process processes the batch that h has read. The caller holds reading, before
// and after the call.
func (l *lane) process(h Handler, b BatchInfo, ready bool) {
	share, wake := l.policy.Note(b, ready, l.active)
	l.setWidth(l.policy.Width())
	if l.lastRead = b.At; l.group != nil {
		l.group.note(l, b, ready)
	}
	if l.width > 1 || ready && l.group.hasSeveral() {
		l.governor.need(b.At, holdForLoad)
	}
	l.governor.noteTraffic(b.At)
	if complete := h.Prepare(); !complete || !share {
		h.Work()
		l.sequencer.wait(l.nextTicket)
		h.Finish()
		return
	}
	if wake {
		l.wakeFollower()
	}
	ticket := l.nextTicket
	l.nextTicket++
	l.reading.unlock()
	h.Work()
	l.sequencer.wait(ticket)
	h.Finish()
	l.sequencer.done(ticket)
	l.reading.lock()
}

// setWidth counts the goroutines. The caller holds reading.
func (l *lane) setWidth(n int) {
	if n != l.width {
		l.counter.add(n - l.width)
		l.width = n
	}
}

// wakeFollower makes one more follower read. The caller holds reading.
func (l *lane) wakeFollower() {
	l.active++
	l.followersMu.Lock()
	defer l.followersMu.Unlock()
	if l.active <= l.followers {
		l.wake <- struct{}{}
		return
	}
	l.followers++
	l.running.Go(func() { l.follow(l.source.NewHandler()) })
}
