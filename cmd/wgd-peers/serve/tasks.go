package serve

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// maxTasks bounds the look-ups that wait because of wants. One more is refused for a moment.
const maxTasks = 8192

// A subject is what is looked up: exactly one of its fields is set.
type subject struct {
	key      key.Public
	endpoint netip.AddrPort // a peer was seen there last
	address  netip.Addr     // inside the tunnel
}

// A task is a look-up and what follows from it. There is one at a time for each subject, so
// that changes of a peer are made one after the other.
type task struct {
	subject subject
	asked   asked
	// again means that the store has changed since the look-up began.
	again bool
	// heardAt is where the peer was heard before it was known that the daemon has it.
	heardAt netip.AddrPort
	// The result of the look-up, and when it began.
	begun time.Time
	peer  *store.Peer
	err   error
}

// asked is why a subject is looked up. The zero value: to compare.
type asked struct {
	since  time.Time      // when the daemon began to wait for an answer; zero: it does not wait
	causes []subject      // other wants, which led to this peer
	at     netip.AddrPort // initiate a handshake there, where the peer must have been seen last
	wanted bool           // by its key or an inner address, whatever at says
}

// An answer is a task that was looked up, and why it was asked for.
type answer struct {
	*task
	asked
}

// tasks are those of an interface: waiting, being looked up, or ready.
type tasks struct {
	mu     *sync.Mutex
	wake   *sync.Cond // a task waits
	all    map[subject]*task
	first  []subject    // changes of the store, such as revocations
	urgent []subject    // wants
	idle   []key.Public // peers to compare with the store when nothing is urgent
	pause  time.Time    // idle has to wait until then, because the store or the daemon fails
	ready  []*task
	filled chan struct{} // has an element if ready is not empty
}

func newTasks(mu *sync.Mutex) tasks {
	return tasks{mu: mu, wake: sync.NewCond(mu), all: map[subject]*task{}, filled: make(chan struct{}, 1)}
}

// add returns the task about a subject, which is a new one if there is none. The caller
// holds mu, and so do those of the methods below that do not say otherwise.
func (ts *tasks) add(s subject) *task {
	t := ts.all[s]
	if t == nil {
		t = &task{subject: s}
		ts.all[s] = t
		ts.push(&ts.urgent, s)
	}
	return t
}

// push adds a task to first or urgent.
func (ts *tasks) push(queue *[]subject, s subject) {
	*queue = append(*queue, s)
	ts.wake.Signal()
}

// renew looks up a peer that has changed, before what is wanted. A look-up that has begun
// begins again when it is done.
func (ts *tasks) renew(s subject) {
	t := ts.all[s]
	if t == nil {
		t = &task{subject: s}
		ts.all[s] = t
		ts.push(&ts.first, s)
	}
	t.again = true
}

// compare looks up peers when nothing is urgent.
func (ts *tasks) compare(keys []key.Public) {
	ts.idle = append(ts.idle, keys...)
	ts.wake.Broadcast()
}

// rest stops comparing for a while, because the store or the daemon fails.
func (ts *tasks) rest(d time.Duration) {
	ts.pause = time.Now().Add(d)
	time.AfterFunc(d, ts.wakeAll)
}

// putBack compares a peer later, because the daemon did not take what followed from its look-up.
func (ts *tasks) putBack(k key.Public) {
	ts.idle = append(ts.idle, k)
	if !time.Now().Before(ts.pause) {
		ts.rest(storePause)
	}
}

// wakeAll wakes those who wait for tasks. It holds mu, so that nobody is about to wait. The
// caller does not hold it.
func (ts *tasks) wakeAll() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.wake.Broadcast()
}

// next waits for a task that is to be looked up; nil means that ctx has ended. The caller
// does not hold mu.
func (ts *tasks) next(ctx context.Context) *task {
	defer context.AfterFunc(ctx, ts.wakeAll)()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for ctx.Err() == nil {
		if t := ts.take(); t != nil {
			t.again, t.begun = false, time.Now()
			return t
		}
		ts.wake.Wait()
	}
	return nil
}

func (ts *tasks) take() *task {
	for _, queue := range []*[]subject{&ts.first, &ts.urgent} {
		if len(*queue) > 0 {
			s := (*queue)[0]
			if *queue = (*queue)[1:]; len(*queue) == 0 {
				*queue = nil
			}
			return ts.all[s]
		}
	}
	for len(ts.idle) > 0 && !time.Now().Before(ts.pause) {
		s := subject{key: ts.idle[0]}
		if ts.idle = ts.idle[1:]; len(ts.idle) == 0 {
			ts.idle = nil
		}
		if t := ts.all[s]; t != nil {
			t.again = true
			continue
		}
		t := &task{subject: s}
		ts.all[s] = t
		return t
	}
	return nil
}

// done passes on the result of a look-up. The caller does not hold mu.
func (ts *tasks) done(t *task) {
	ts.mu.Lock()
	ts.ready = append(ts.ready, t)
	ts.mu.Unlock()
	select {
	case ts.filled <- struct{}{}:
	default:
	}
}

// takeReady returns up to n tasks that were looked up, and has them ask for nothing. Those
// whose peer has changed since are looked up again.
func (ts *tasks) takeReady(n int) []answer {
	n = min(n, len(ts.ready))
	var list []answer
	for _, t := range ts.ready[:n] {
		if t.again {
			t.forget()
			ts.push(&ts.first, t.subject)
			continue
		}
		list = append(list, answer{t, t.asked})
		t.asked = asked{}
	}
	if ts.ready = ts.ready[n:]; len(ts.ready) == 0 {
		ts.ready = nil
	}
	return list
}

// finish ends a task that was answered. It begins again if the peer has changed, or was
// asked for again, since the look-up.
func (ts *tasks) finish(t *task) {
	t.forget()
	switch {
	case t.again:
		ts.push(&ts.first, t.subject)
	case !t.asked.since.IsZero():
		ts.push(&ts.urgent, t.subject)
	default:
		delete(ts.all, t.subject)
	}
}

// forget drops the result of a look-up.
func (t *task) forget() {
	if t.peer != nil {
		t.peer.PresharedKey.Erase()
	}
	t.peer, t.err = nil, nil
}
