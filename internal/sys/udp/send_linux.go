package udp

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// sender is a Sender of one socket. It has a lock of its own because urgent, which is
// one too, is shared by all Senders.
type sender struct {
	conn    *conn
	onSend  func(uintptr)
	onQuery func(uintptr)

	mu      sync.Mutex
	budget  int           // may be sent before the next query of the queue length
	noWait  time.Duration // until then, awaitRoom does not wait again
	stuck   bool          // the last Send waited in vain for the socket to accept a datagram
	limits  limits
	forgets uint32 // conn.forgets when limits was last emptied
	scopes  scopes

	name    sockaddr
	namelen uint32
	control []byte

	// One message.
	hdr unix.Msghdr
	iov unix.Iovec
	// Several messages, made on first use: single datagrams of one train, or trains to
	// different destinations (SendAll), which have names and control messages of their own.
	hdrs     []mmsghdr
	iovs     []unix.Iovec
	names    []sockaddr
	controls []byte

	count int // of hdrs that are to be sent; 0: it is one message
	taken int // of hdrs that the last call sent
	used  int // of iovs that this Send used
	errno syscall.Errno

	waits  int // how often this Send may still wait for room
	queued int // the result of queryNow
}

// If there is no room for data and the destination that causes it is not known, a Send
// waits up to maxWaits times for oneWait. At most one part in waitShare of the time is
// spent waiting.
const (
	maxWaits  = 5
	oneWait   = time.Millisecond
	waitShare = 20
)

func newSender(c *conn) *sender {
	s := &sender{conn: c, limits: newLimits(), forgets: c.forgets.Load(), scopes: make(scopes), control: make([]byte, 0, controlSize)}
	s.onSend, s.onQuery = s.sendNow, s.queryNow
	return s
}

func (s *sender) Send(b *batch.Batch) error {
	c := s.conn
	if !b.Remote.IsValid() {
		return ErrBadEndpoint
	}
	if is4(b.Remote.Remote.Addr()) != c.v4 {
		return ErrNoFamily
	}
	if b.DontFragment && !c.sendOptions.dontFragment {
		if s := c.unfragmented(); s != nil {
			return s.Send(b)
		}
	}
	if b.Class != batch.Data {
		return c.urgent.sendUrgent(b) // not s: its lock is held while data waits
	}
	return s.sendData(b)
}

// sendUrgent sends a batch of another class than Data. It does not wait.
func (s *sender) sendUrgent(b *batch.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Class == batch.Reply && s.mustQuery(b) && s.query() >= s.conn.capacity().replies() {
		return ErrBacklog
	}
	return s.transmit(b, 0)
}

// sendData sends through the destination's own socket, if it has one, and otherwise
// through the shared one.
func (s *sender) sendData(b *batch.Batch) (err error) {
	for {
		own := s.conn.slow.find(b.Remote.Remote)
		if own == nil {
			if own, err = s.sendShared(b); own == nil {
				return err
			}
		}
		// A socket that was closed meanwhile is not found again.
		if err = own.send(b); !errors.Is(err, os.ErrClosed) || s.conn.closed.Load() {
			return err
		}
	}
}

// sendShared sends through the shared socket. If it returns another socket, nothing
// was sent, and the caller uses that one.
func (s *sender) sendShared(b *batch.Batch) (own *slowSocket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mustQuery(b) {
		queued := s.query()
		if own := s.conn.slow.suspect(queued, b.Remote.Remote); own != nil {
			return own, nil
		}
		if queued >= s.conn.capacity().data() && !s.awaitRoom() {
			return nil, ErrBacklog
		}
	}
	waits := maxWaits
	if s.stuck {
		waits = 0
	}
	err = s.transmit(b, waits)
	s.stuck = s.errno == unix.EAGAIN
	return nil, err
}

// awaitRoom waits, for a limited time, until the queue is short enough for data. It
// reports whether it is.
func (s *sender) awaitRoom() bool {
	c := s.conn
	begun := c.calls.now()
	if begun < s.noWait {
		return false
	}
	room := false
	for range maxWaits {
		c.calls.sleep(oneWait)
		if room = s.query() < c.capacity().data(); room || c.closed.Load() {
			break
		}
	}
	now := c.calls.now()
	s.noWait = now + waitShare*(now-begun)
	return room
}

// mustQuery records that b is about to be sent, and reports whether query must be
// called first.
func (s *sender) mustQuery(b *batch.Batch) bool {
	s.budget -= cost(len(b.Data), b.Count())
	return s.budget < 0
}

// query asks the kernel how much is queued.
func (s *sender) query() int {
	if s.conn.socket.try(s.onQuery) != nil {
		return 0 // the socket is closed; the next send will report that
	}
	s.budget = s.conn.capacity().budget(s.queued)
	return s.queued
}

func (s *sender) queryNow(uintptr) { s.queued = s.conn.calls.queued(uintptr(s.conn.socket.fd)) }

// transmit sends b. It waits for room at most the given number of times. The caller
// holds mu.
func (s *sender) transmit(b *batch.Batch, waits int) error {
	c := s.conn
	if s.errno = 0; c.closed.Load() {
		return os.ErrClosed
	}
	s.forget()
	if err := s.address(b); err != nil {
		return err
	}
	s.waits = waits
	t := train{rest: b.Data, stride: b.Stride, control: c.controlOf(b)}
	if t.stride <= 0 || t.stride > len(t.rest) {
		t.stride = len(t.rest)
	}
	t.segments = 1
	if c.caps.GSO && len(t.rest) > t.stride {
		t.segments = s.limits.segments(b.Remote.Remote, t.stride)
	}
	err := s.deliver(b, &t)
	clear(s.iovs[:s.used]) // otherwise they would keep the caller's buffer alive
	s.used = 0
	s.iov.Base = nil
	return err
}

// controlOf returns the control messages of a batch.
func (c *conn) controlOf(b *batch.Batch) control {
	info := control{tos: b.TOS&^3 | b.ECN&3, ttl: b.TTL}
	if from := b.Remote.Source.Unmap(); from.Is4() == c.v4 && from.IsValid() {
		info.source, info.index = from, b.Remote.SourceIndex
	}
	return info
}

// train is the rest of a batch, and the form in which it is sent.
type train struct {
	rest     []byte
	stride   int
	segments int // maximum in one message; 1: single datagrams
	control  control
	lost     bool // the source does not exist any more and was left out
}

// deliver sends until nothing is left, in each call as much as the kernel accepts. It
// tries each remedy once, and sends nothing twice.
func (s *sender) deliver(b *batch.Batch, t *train) error {
	var cause syscall.Errno // why the train is sent as single datagrams
	var refused int         // datagrams in the message that was refused
	for {
		tried, err := s.push(t)
		switch errno := s.errno; {
		case err != nil:
			return s.conn.pollError(err)
		case errno == 0 && len(t.rest) > 0: // B20: the kernel may send only a part
		case errno == 0:
			s.learn(b, t, cause, refused)
			if t.lost {
				return ErrSourceGone
			}
			return nil
		case errno == unix.EAGAIN && s.waits > 0:
			s.waits--
			s.conn.calls.sleep(oneWait)
		case tried > 1 && (errno == unix.EIO || errno == unix.EMSGSIZE || errno == unix.EINVAL): // B61
			cause, refused = errno, tried
			t.segments = 1
		case sourceGone(errno) && t.control.source.IsValid():
			t.control.source, t.control.index, t.lost = netip.Addr{}, 0, true
			if cause == unix.EINVAL {
				cause = 0 // the source was the reason
			}
		default:
			return s.failed(b, t, errno)
		}
	}
}

// learn records why the train was refused (B61), after all of it was sent as single
// datagrams.
func (s *sender) learn(b *batch.Batch, t *train, cause syscall.Errno, refused int) {
	switch cause {
	case unix.EIO:
		s.limits.none(b.Remote.Remote)
	case unix.EMSGSIZE:
		s.limits.tooLong(b.Remote.Remote, t.stride)
	case unix.EINVAL:
		s.limits.tooMany(b.Remote.Remote, refused)
	}
}

// sourceGone reports whether the error may mean that the source address, or its
// interface, does not exist any more.
func sourceGone(errno syscall.Errno) bool {
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENODEV:
		return true
	}
	return false
}

func (s *sender) failed(b *batch.Batch, t *train, errno syscall.Errno) error {
	if zone := b.Remote.Remote.Addr().Zone(); zone != "" {
		delete(s.scopes, zone) // a new interface of that name has another index
	}
	var err error = errno
	if errno == unix.EAGAIN {
		err = ErrBacklog
	}
	if t.lost {
		return errors.Join(ErrSourceGone, err)
	}
	return err
}

// push makes one system call, and removes what the kernel has accepted from the rest
// of the train. It stores the error of the call in s.errno. tried is the number of
// datagrams in each message: more than one if the kernel is to segment it.
func (s *sender) push(t *train) (tried int, err error) {
	size := t.message(s.conn.v4)
	tried = max((size+t.stride-1)/max(t.stride, 1), 1)
	info := t.control
	if tried > 1 {
		info.stride = t.stride
	}
	s.control = appendControl(s.control[:0], s.conn.v4, info)
	if s.count = 0; tried == 1 && len(t.rest) > t.stride {
		s.singles(t)
	} else {
		part := t.rest[:size]
		s.iov.Base = unsafe.SliceData(part)
		s.iov.SetLen(len(part))
		s.fill(&s.hdr, &s.iov)
	}
	if err := s.conn.socket.try(s.onSend); err != nil || s.errno != 0 {
		return tried, err
	}
	if s.count > 0 {
		size = min(s.taken*t.stride, len(t.rest))
	} else if tried > 1 {
		s.limits.passed()
	}
	t.rest = t.rest[size:]
	return tried, nil
}

// message returns the size of the next message: of one datagram, or of several that the
// kernel is to segment, which together must not exceed the longest UDP datagram.
func (t *train) message(v4 bool) int {
	single := min(t.stride, len(t.rest))
	if t.segments <= 1 || len(t.rest) <= t.stride {
		return single
	}
	segments := min(t.segments, longest(v4)/t.stride)
	if segments <= 1 {
		return single
	}
	return min(segments*t.stride, len(t.rest))
}

func longest(v4 bool) int {
	if v4 {
		return batch.MaxDatagram4
	}
	return batch.MaxDatagram6
}

// singles prepares one message for each datagram, up to MaxSegments.
func (s *sender) singles(t *train) {
	for rest := t.rest; s.count < MaxSegments && len(rest) > 0; s.count++ {
		part := rest[:min(t.stride, len(rest))]
		rest = rest[len(part):]
		s.single(part)
	}
}

// single prepares the next message of hdrs.
func (s *sender) single(part []byte) {
	s.makeMessages()
	iov := &s.iovs[s.count]
	iov.Base = &part[0]
	iov.SetLen(len(part))
	s.used = max(s.used, s.count+1)
	s.fill(&s.hdrs[s.count].hdr, iov)
}

func (s *sender) fill(h *unix.Msghdr, iov *unix.Iovec) {
	h.Name, h.Namelen = &s.name[0], s.namelen
	h.Iov = iov
	h.SetIovlen(1)
	h.Control = nil
	if len(s.control) > 0 {
		h.Control = &s.control[0]
	}
	h.SetControllen(len(s.control))
}

// sendNow sends the message, or the messages of hdrs.
func (s *sender) sendNow(uintptr) {
	fd, calls := uintptr(s.conn.socket.fd), &s.conn.calls
	for {
		if s.count > 0 {
			s.taken, s.errno = calls.sendmmsg(fd, s.hdrs[:s.count])
		} else {
			_, s.errno = calls.sendmsg(fd, &s.hdr)
		}
		if s.errno != unix.EINTR {
			return
		}
	}
}

// address writes the remote address, with the scope of its zone (A54).
func (s *sender) address(b *batch.Batch) error {
	to := b.Remote.Remote
	var scope uint32
	if zone := to.Addr().Zone(); zone != "" {
		var err error
		if scope, err = s.scope(zone); err != nil {
			return err
		}
	}
	s.namelen = s.name.set(to, scope)
	return nil
}

func (s *sender) scope(zone string) (uint32, error) {
	if scope, ok := s.scopes.known(zone); ok {
		return scope, nil
	}
	var found struct {
		scope uint32
		ok    bool
	}
	if poll := s.conn.socket.control(func(fd int) { found.scope, found.ok = s.scopes.lookUp(fd, zone) }); poll != nil {
		return 0, s.conn.pollError(poll)
	}
	if !found.ok {
		return 0, unix.ENODEV
	}
	return found.scope, nil
}

// forget empties limits if Forget was called since it last did so.
func (s *sender) forget() {
	if n := s.conn.forgets.Load(); n != s.forgets {
		s.forgets = n
		s.limits.forget()
	}
}
