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
	// mostSlowSockets there are beside one socket. As long as so many of them are
	// for destinations that are known to be slow, each of those has its own; more
	// of them share. The others are for finding out.
	mostSlowSockets = 64
	mostKnownSlow   = 32

	// tryOpening is how long none is opened after that has failed.
	tryOpening = time.Second
)

// slowSockets are the sockets of destinations whose datagrams may be those that
// wait in the send buffer of the socket beside them (see backlog.go). As long as
// there are none, they cost one comparison.
type slowSockets struct {
	beside *conn
	places atomic.Pointer[map[netip.AddrPort]place] // nil: none; never changed
	due    atomic.Int64                             // of the next search for those that are not used

	mu    sync.Mutex // guards what follows, and changes of places
	gauge gauge
	list  []*slowSocket
	retry time.Duration
}

// place is where a destination is.
type place struct {
	socket *slowSocket
	since  time.Duration
}

// slowSocket is one of them.
type slowSocket struct {
	*sendSocket
	set     *slowSockets
	flow    outflow      // guarded by tx.mu
	until   atomic.Int64 // nobody needs it then, if it is not used any more
	known   atomic.Bool  // to be slow
	tenants atomic.Int32 // destinations that use it
}

// find is the socket of a destination; nil if it has none.
func (l *slowSockets) find(to netip.AddrPort) *slowSocket {
	places := l.places.Load()
	if places == nil {
		return nil
	}
	now := l.beside.calls.now()
	if int64(now) >= l.due.Load() {
		l.sweep(now)
	}
	p, ok := (*places)[to]
	if ok && now-p.since >= quickAfter && p.socket.tenants.Load() > 1 {
		// Whether it is still slow cannot be seen where others are.
		if again := l.add(to, now); again != nil {
			return again
		}
	}
	return p.socket
}

// suspect takes note of what is queued beside, before something is sent to a
// destination, and returns a socket for it if it may be the cause, and can have one.
func (l *slowSockets) suspect(queued int, to netip.AddrPort) *slowSocket {
	l.mu.Lock()
	l.gauge.capacity = l.beside.capacity()
	now := l.beside.calls.now()
	suspect := l.gauge.suspect(now, queued, to)
	l.mu.Unlock()
	if !suspect {
		return nil
	}
	return l.add(to, now)
}

// add gives a destination a socket for itself, of which nobody knows yet whether
// it is slow; nil if there is none.
func (l *slowSockets) add(to netip.AddrPort, now time.Duration) *slowSocket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) >= mostSlowSockets {
		l.join(now)
	}
	s := l.open(now)
	if s == nil {
		return nil
	}
	l.assign(now, s, to)
	return s
}

// join makes room for another socket: two of those that are slow become one, if
// there are enough. The caller holds mu.
func (l *slowSockets) join(now time.Duration) {
	var known []*slowSocket
	for _, s := range l.list {
		if s.known.Load() {
			known = append(known, s)
		}
	}
	if len(known) <= mostKnownSlow {
		return
	}
	slices.SortFunc(known, func(a, b *slowSocket) int { return cmp.Compare(a.tenants.Load(), b.tenants.Load()) })
	var tenants []netip.AddrPort
	for to, p := range *l.places.Load() {
		if p.socket == known[0] {
			tenants = append(tenants, to)
		}
	}
	l.assign(now, known[1], tenants...)
	l.close(known[0])
}

// assign has destinations use s. The caller holds mu.
func (l *slowSockets) assign(now time.Duration, s *slowSocket, to ...netip.AddrPort) {
	places := make(map[netip.AddrPort]place)
	if old := l.places.Load(); old != nil {
		maps.Copy(places, *old)
	}
	for _, to := range to {
		if old, ok := places[to]; ok {
			old.socket.tenants.Add(-1)
		}
		places[to] = place{s, now}
		s.tenants.Add(1)
	}
	l.places.Store(&places)
}

// open opens one more; nil if there are enough, or it cannot be. The caller holds mu.
func (l *slowSockets) open(now time.Duration) *slowSocket {
	c := l.beside
	if len(l.list) >= mostSlowSockets || now < l.retry || c.closed.Load() {
		return nil
	}
	opened, err := c.openSendSocket(c.sendOptions)
	if err != nil {
		l.retry = now + tryOpening
		return nil
	}
	s := &slowSocket{sendSocket: opened, set: l, flow: newOutflow(opened.capacity(), now)}
	s.until.Store(int64(now + acquitAfter))
	l.list = append(l.list, s)
	return s
}

// sweep ends the sockets that are not used any more.
func (l *slowSockets) sweep(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due.Store(int64(now + acquitAfter))
	for _, s := range slices.Clone(l.list) {
		if int64(now) >= s.until.Load() {
			l.close(s)
		}
	}
}

// clear ends all sockets.
func (l *slowSockets) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Clone(l.list) {
		l.close(s)
	}
}

// close ends s, and has its destinations use the socket for all. The caller holds
// mu.
func (l *slowSockets) close(s *slowSocket) {
	if old := l.places.Load(); old != nil {
		places := maps.Clone(*old)
		maps.DeleteFunc(places, func(_ netip.AddrPort, p place) bool { return p.socket == s })
		if l.places.Store(&places); len(places) == 0 {
			l.places.Store(nil)
		}
	}
	l.list = slices.DeleteFunc(l.list, func(other *slowSocket) bool { return other == s })
	s.Close()
}

// acquit ends s, unless it has ended.
func (l *slowSockets) acquit(s *slowSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.list, s) {
		l.close(s)
	}
}

// send sends to a destination that has this socket, if there is room.
func (s *slowSocket) send(b *batch.Batch) error {
	err, quick := s.sendNow(b)
	if quick {
		s.set.acquit(s)
	}
	return err
}

func (s *slowSocket) sendNow(b *batch.Batch) (err error, quick bool) {
	s.tx.mu.Lock()
	defer s.tx.mu.Unlock()
	now, queued := s.calls.now(), s.tx.ask()
	allowed := s.flow.allows(now, queued)
	s.known.Store(s.flow.proven)
	s.until.Store(int64(now + s.flow.patience()))
	if !allowed {
		return ErrBacklog, false
	}
	err = s.tx.transmit(b, 0)
	s.flow.sent(s.tx.ask())
	return err, s.flow.quick(now, queued)
}
