package lanes

import (
	"runtime"
	"sync"
	"time"

	"wgd/internal/clock"
)

// longestRest is how long a follower sleeps before it ends.
const longestRest = 10 * time.Second

// A lane is one way for packets: out of the interface, or in from one socket.
//
// While one core suffices, one goroutine, the leader, reads a batch and carries
// it to the end, then the next. When that does not suffice, it is joined by
// followers. Then whoever has read a large batch lets the next one read on, and
// keeps the batch: most of the work on it is done beside the work on others.
// Where order matters there is order by ticket: tickets are drawn while reading,
// so they are in the order of reading, and each batch leaves when its ticket is
// called. While there is a backlog nobody sleeps, and a batch changes hands
// never: that is what makes it cheap.
type lane struct {
	source  Source
	running *sync.WaitGroup // of the engine
	gear    *gear
	chief   Handler // the leader's

	// Of a lane in a bundle; bundle is nil for any other.
	bundle *bundle
	number int // of its queue

	reading *baton // whoever holds it reads; a leader without followers keeps it

	// What follows is guarded by reading.
	policy policy
	turn   clock.Time // began: it had waited for a batch, or given way
	last   clock.Time // the last batch came
	ticket uint64     // of the next batch that is carried in steps
	awake  int        // followers that read
	over   bool       // the leader is gone

	rest  time.Duration // after which a follower ends that nobody needs
	hire  sync.Mutex    // guards hired, and which followers get a token or end
	hired int           // followers there are
	wake  chan struct{} // one token for each follower that is to wake up
	ended chan struct{} // closed when the leader is gone
	order *turnstile
}

// A Source is what a lane reads: the interface, a socket, or one queue of either.
type Source struct {
	// NewHandler makes what one more goroutine of the lane works with.
	NewHandler func() Handler
	// Single says that only one goroutine can read: NewHandler is called once.
	Single bool
	// Wait waits until there is something to read, or an error. Only the lanes of a
	// bundle call it.
	Wait func() error
}

// A Handler reads batches and processes them, one at a time, for one goroutine of
// a lane: Read, Prepare, Work, Finish.
type Handler interface {
	// Read reads a batch; without wait, one of no bytes when nothing is there.
	Read(wait bool) (BatchInfo, error)
	// Failed takes an error of Read, pauses, and reports whether it is the end.
	Failed(err error) bool
	// Prepare does what must be done in the order of reading; like Read, it is
	// called by the goroutine that holds reading. It reports whether the next
	// batch may be read before Finish.
	Prepare() (complete bool)
	// Work needs no order. It is most of the work.
	Work()
	// Finish is called in the order of reading, when all batches read before are
	// through.
	Finish()
}

// serial carries what c has read to the end. All batches read before are through,
// and no other is read meanwhile.
func serial(c Handler) {
	c.Prepare()
	c.Work()
	c.Finish()
}

// BatchInfo is what a lane knows about a batch that was read.
type BatchInfo struct {
	Bytes int
	At    clock.Time // when it was read

	// For bundles.
	Count int    // packets, or trains
	Flow  uint32 // a hash of one that was in it
}

func newLane(p policy, g *gear, running *sync.WaitGroup, s Source) *lane {
	return &lane{
		source:  s,
		chief:   s.NewHandler(),
		running: running,
		gear:    g,
		reading: newBaton(),
		policy:  p,
		rest:    longestRest,
		wake:    make(chan struct{}, p.most),
		ended:   make(chan struct{}),
		order:   newTurnstile(p.most),
	}
}

// lead reads and carries until the end.
func (l *lane) lead() {
	c := l.chief
	defer runtime.KeepAlive(c) // whose buffers are others' afterwards (package pages)
	l.reading.take()
	defer close(l.ended)
	defer l.reading.release()
	place := l.gear.place()
	defer place.Close()
	for {
		if l.bundle != nil {
			l.bundle.between(l)
		}
		if l.gear.giveWay(place, l.last, l.turn) {
			l.turn = l.last
		}
		a, ready, err := l.next(c)
		if err == nil {
			l.carry(c, a, ready)
		} else if l.fails(c, err) {
			l.over = true
			return
		}
	}
}

// fails takes an error, and reports whether it is the end. Lanes beside this one
// do not wait while it pauses.
func (l *lane) fails(c Handler, err error) bool {
	if l.bundle != nil {
		l.reading.release()
		defer l.reading.take()
	}
	return c.Failed(err)
}

// next waits for a batch. It says whether the batch was there already.
func (l *lane) next(c Handler) (a BatchInfo, ready bool, err error) {
	if l.policy.most > 1 || l.gear.givesWay() || l.bundle != nil {
		if a, err = c.Read(false); err != nil || a.Bytes > 0 {
			return a, true, err
		}
	}
	for l.bundle.wide() || l.number > 0 { // it may have to stop for others
		l.reading.release()
		err = l.source.Wait()
		l.reading.take()
		if err != nil {
			return a, false, err
		}
		if a, err = c.Read(false); err != nil || a.Bytes > 0 {
			l.turn = a.At
			return a, false, err
		}
	}
	a, err = c.Read(true)
	l.turn = a.At
	return a, false, err
}

// follow reads and carries while there is a backlog, and sleeps otherwise.
func (l *lane) follow(c Handler) {
	defer runtime.KeepAlive(c)
	for {
		l.reading.take()
		for !l.over && !l.bundle.halted() && l.awake < l.policy.width {
			a, err := c.Read(false)
			if err != nil || a.Bytes == 0 {
				l.policy.dry() // an error is the leader's, who sees it next
				break
			}
			l.carry(c, a, true)
		}
		l.awake--
		l.reading.release()
		if !l.sleep() {
			return
		}
	}
}

// sleep is what a follower does until it is roused. It reports whether it was:
// one that sleeps for long ends, so that its buffers and the table of routes that
// it has seen last do not stay with nobody.
func (l *lane) sleep() bool {
	timer := time.NewTimer(l.rest)
	defer timer.Stop()
	select {
	case <-l.wake:
		return true
	case <-l.ended:
		return false
	case <-timer.C:
	}
	l.hire.Lock() // not reading, which a leader keeps who waits
	defer l.hire.Unlock()
	select {
	case <-l.wake:
		return true
	default:
		l.hired--
		return false
	}
}

// carry carries what c has read. Its caller holds reading, before and after.
func (l *lane) carry(c Handler, a BatchInfo, ready bool) {
	shared, more := l.policy.note(a, ready, l.awake)
	if l.last = a.At; l.bundle != nil {
		l.bundle.note(l, a, ready)
	}
	if l.policy.width > 1 || ready && l.bundle.wide() {
		l.gear.need(a.At, holdForLoad)
	}
	l.gear.carried(a.At)
	if complete := c.Prepare(); !complete || !shared {
		c.Work()
		l.order.await(l.ticket)
		c.Finish()
		return
	}
	if more {
		l.rouse()
	}
	mine := l.ticket
	l.ticket++
	l.reading.release()
	c.Work()
	l.order.await(mine)
	c.Finish()
	l.order.pass(mine)
	l.reading.take()
}

// rouse has one more follower read.
func (l *lane) rouse() {
	l.awake++
	l.hire.Lock()
	defer l.hire.Unlock()
	if l.awake <= l.hired {
		l.wake <- struct{}{}
		return
	}
	l.hired++
	l.running.Go(func() { l.follow(l.source.NewHandler()) })
}
