package udp

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/batch"
)

const (
	// maxSlowSockets is how many slowSockets a shared socket may have. Up to
	// maxKnownSlow of them belong to one destination each that is known to be slow. If
	// there are more slow destinations, some share a socket: the other sockets are
	// needed to find out which destinations are slow.
	maxSlowSockets = 64
	maxKnownSlow   = 32

	// openPause is the pause after a socket could not be opened.
	openPause = time.Second
)

// slowSockets are the sockets of those destinations whose datagrams may be filling the
// send buffer of a shared socket (see backlog.go). While there are none, they cost one
// comparison.
type slowSockets struct {
	shared    *conn
	assigned  atomic.Pointer[map[netip.AddrPort]assignment] // nil: none. The map never changes
	nextSweep atomic.Int64                                  // when to close unused sockets

	mu      sync.Mutex // guards what follows, and changes of assigned
	queue   sharedQueue
	list    []*slowSocket
	retryAt time.Duration // after openPause
}

// assignment is the socket of a destination.
type assignment struct {
	socket *slowSocket
	since  time.Duration
}

// slowSocket is one of slowSockets.
type slowSocket struct {
	*sendSocket
	set    *slowSockets
	queue  ownQueue     // guarded by tx.mu
	expiry atomic.Int64 // when it is closed unless it is used
	known  atomic.Bool  // whether its destination is known to be slow
	users  atomic.Int32 // number of destinations
}

// find returns the socket of a destination, or nil.
func (l *slowSockets) find(to netip.AddrPort) *slowSocket {
	assigned := l.assigned.Load()
	if assigned == nil {
		return nil
	}
	now := l.shared.calls.now()
	if int64(now) >= l.nextSweep.Load() {
		l.sweep(now)
	}
	a, ok := (*assigned)[to]
	if ok && now-a.since >= fastAfter && a.socket.users.Load() > 1 {
		// The queue of a socket with other users does not show whether this
		// destination is still slow.
		if own := l.add(to, now); own != nil {
			return own
		}
	}
	return a.socket
}

// suspect records how much is queued in the shared socket before a send to a
// destination. It returns a new socket for the destination if that may be the cause of
// the queue, and nil if not, or if no socket can be opened.
func (l *slowSockets) suspect(queued int, to netip.AddrPort) *slowSocket {
	l.mu.Lock()
	l.queue.capacity = l.shared.capacity()
	now := l.shared.calls.now()
	suspect := l.queue.suspect(now, queued, to)
	l.mu.Unlock()
	if !suspect {
		return nil
	}
	return l.add(to, now)
}

// add assigns a destination a socket of its own, and returns it, or nil if none can be
// opened. Whether the destination is slow is not known yet.
func (l *slowSockets) add(to netip.AddrPort, now time.Duration) *slowSocket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) >= maxSlowSockets {
		l.merge(now)
	}
	s := l.open(now)
	if s == nil {
		return nil
	}
	l.assign(now, s, to)
	return s
}

// merge closes one of the sockets of slow destinations if there are more than
// maxKnownSlow, and moves its users to another one. The caller holds mu.
func (l *slowSockets) merge(now time.Duration) {
	var known []*slowSocket
	for _, s := range l.list {
		if s.known.Load() {
			known = append(known, s)
		}
	}
	if len(known) <= maxKnownSlow {
		return
	}
	slices.SortFunc(known, func(a, b *slowSocket) int { return cmp.Compare(a.users.Load(), b.users.Load()) })
	var users []netip.AddrPort
	for to, a := range *l.assigned.Load() {
		if a.socket == known[0] {
			users = append(users, to)
		}
	}
	l.assign(now, known[1], users...)
	l.close(known[0])
}

// assign assigns s to destinations. The caller holds mu.
func (l *slowSockets) assign(now time.Duration, s *slowSocket, destinations ...netip.AddrPort) {
	assigned := make(map[netip.AddrPort]assignment)
	if old := l.assigned.Load(); old != nil {
		maps.Copy(assigned, *old)
	}
	for _, to := range destinations {
		if old, ok := assigned[to]; ok {
			old.socket.users.Add(-1)
		}
		assigned[to] = assignment{s, now}
		s.users.Add(1)
	}
	l.assigned.Store(&assigned)
}

// open opens one more socket. It returns nil if there are too many, or if that fails.
// The caller holds mu.
func (l *slowSockets) open(now time.Duration) *slowSocket {
	c := l.shared
	if len(l.list) >= maxSlowSockets || now < l.retryAt || c.closed.Load() {
		return nil
	}
	opened, err := c.openSendSocket(c.sendOptions)
	if err != nil {
		l.retryAt = now + openPause
		return nil
	}
	s := &slowSocket{sendSocket: opened, set: l, queue: newOwnQueue(opened.capacity(), now)}
	s.expiry.Store(int64(now + releaseAfter))
	l.list = append(l.list, s)
	return s
}

// sweep closes the unused sockets.
func (l *slowSockets) sweep(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextSweep.Store(int64(now + releaseAfter))
	for _, s := range slices.Clone(l.list) {
		if int64(now) >= s.expiry.Load() {
			l.close(s)
		}
	}
}

// clear closes all sockets.
func (l *slowSockets) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Clone(l.list) {
		l.close(s)
	}
}

// close closes s. Its users use the shared socket again. The caller holds mu.
func (l *slowSockets) close(s *slowSocket) {
	if old := l.assigned.Load(); old != nil {
		assigned := maps.Clone(*old)
		maps.DeleteFunc(assigned, func(_ netip.AddrPort, a assignment) bool { return a.socket == s })
		if l.assigned.Store(&assigned); len(assigned) == 0 {
			l.assigned.Store(nil)
		}
	}
	l.list = slices.DeleteFunc(l.list, func(other *slowSocket) bool { return other == s })
	s.Close()
}

// release closes s unless it is closed already.
func (l *slowSockets) release(s *slowSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.list, s) {
		l.close(s)
	}
}

// send sends to a destination that uses s, if there is room.
func (s *slowSocket) send(b *batch.Batch) error {
	err, fast := s.sendNow(b)
	if fast {
		s.set.release(s)
	}
	return err
}

func (s *slowSocket) sendNow(b *batch.Batch) (err error, fast bool) {
	s.tx.mu.Lock()
	defer s.tx.mu.Unlock()
	now, queued := s.calls.now(), s.tx.query()
	room := s.queue.hasRoom(now, queued)
	s.known.Store(s.queue.wasSlow)
	s.expiry.Store(int64(now + s.queue.probation()))
	if !room {
		return ErrBacklog, false
	}
	err = s.tx.transmit(b, 0)
	s.queue.sent(s.tx.query())
	return err, s.queue.fast(now, queued)
}
