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

// sender is a way to send from a conn, with a lock and a state of its own.
type sender struct {
	conn   *conn
	onSend func(uintptr)
	onAsk  func(uintptr)

	mu      sync.Mutex
	budget  int           // may be sent without asking what is queued
	rested  time.Duration // until then nobody waits again for the queue to become shorter
	stuck   bool          // to wait for a socket to take something was in vain
	limits  limits
	forgets uint32 // of conn, when limits was last emptied
	scopes  scopes

	name    sockaddr
	namelen uint32
	control []byte

	// One message.
	hdr unix.Msghdr
	iov unix.Iovec
	// Several messages, each of a single datagram: made on first use.
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	count int // of hdrs, in use; 0: it is one message
	taken int // of hdrs, by the last call
	most  int // of iovs, used by this Send
	errno syscall.Errno

	waits  int // that this Send may still wait for room
	queued int // see ask
}

// Data waits for room so often, for so long, where it cannot be told whose fault
// it is that there is none. Of the whole time, that is at most one part in waitShare.
const (
	mostWaits = 5
	oneWait   = time.Millisecond
	waitShare = 20
)

func newSender(c *conn) *sender {
	s := &sender{conn: c, limits: newLimits(), forgets: c.forgets.Load(), scopes: make(scopes), control: make([]byte, 0, controlSize)}
	s.onSend, s.onAsk = s.sendNow, s.askNow
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
	if b.Class != batch.Data {
		return c.urgent.sendUrgent(b) // who sends data may hold s while it waits
	}
	return s.sendData(b)
}

// sendUrgent sends what does not wait.
func (s *sender) sendUrgent(b *batch.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Class == batch.Reply && s.mustAsk(b) && s.ask() >= s.conn.capacity().replies() {
		return ErrBacklog
	}
	return s.transmit(b, 0)
}

// sendData sends through the socket that the destination has of its own, or else
// through the one for all.
func (s *sender) sendData(b *batch.Batch) (err error) {
	for {
		own := s.conn.slow.find(b.Remote.Remote)
		if own == nil {
			if own, err = s.sendShared(b); own == nil {
				return err
			}
		}
		// One that has just ended is not found again.
		if err = own.send(b); !errors.Is(err, os.ErrClosed) || s.conn.closed.Load() {
			return err
		}
	}
}

// sendShared sends through the socket for all, unless it returns another one:
// then nothing was sent, and that one is to be used.
func (s *sender) sendShared(b *batch.Batch) (own *slowSocket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mustAsk(b) {
		queued := s.ask()
		if own := s.conn.slow.suspect(queued, b.Remote.Remote); own != nil {
			return own, nil
		}
		if queued >= s.conn.capacity().data() && !s.awaitRoom() {
			return nil, ErrBacklog
		}
	}
	waits := mostWaits
	if s.stuck {
		waits = 0
	}
	err = s.transmit(b, waits)
	s.stuck = s.errno == unix.EAGAIN
	return nil, err
}

// awaitRoom waits until the queue is short enough for data, and reports whether
// it is.
func (s *sender) awaitRoom() bool {
	c := s.conn
	begun := c.calls.now()
	if begun < s.rested {
		return false
	}
	room := false
	for range mostWaits {
		c.calls.sleep(oneWait)
		if room = s.ask() < c.capacity().data(); room || c.closed.Load() {
			break
		}
	}
	now := c.calls.now()
	s.rested = now + waitShare*(now-begun)
	return room
}

// mustAsk takes note that b is to be sent, and reports whether the kernel is to be
// asked before what is queued.
func (s *sender) mustAsk(b *batch.Batch) bool {
	s.budget -= cost(len(b.Data), b.Count())
	return s.budget < 0
}

// ask asks the kernel how much is queued.
func (s *sender) ask() int {
	if s.conn.socket.try(s.onAsk) != nil {
		return 0 // it is closed: so will find who sends
	}
	s.budget = s.conn.capacity().budget(s.queued)
	return s.queued
}

func (s *sender) askNow(uintptr) { s.queued = s.conn.calls.queued(uintptr(s.conn.socket.fd)) }

// transmit sends, and waits for room so often at most. The caller holds mu.
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
	t := train{rest: b.Data, stride: b.Stride, said: control{tos: b.TOS&^3 | b.ECN&3, ttl: b.TTL}}
	if t.stride <= 0 || t.stride > len(t.rest) {
		t.stride = len(t.rest)
	}
	if from := b.Remote.Source.Unmap(); from.Is4() == c.v4 && from.IsValid() {
		t.said.source, t.said.index = from, b.Remote.SourceIndex
	}
	t.segments = 1
	if c.caps.GSO && len(t.rest) > t.stride {
		t.segments = s.limits.segments(b.Remote.Remote, t.stride)
	}
	err := s.deliver(b, &t)
	clear(s.iovs[:s.most]) // the caller's buffer is not kept alive
	s.most = 0
	s.iov.Base = nil
	return err
}

// train is what is left of a batch, and how it is being sent.
type train struct {
	rest     []byte
	stride   int
	segments int // most in one call; 1: singly
	said     control
	lost     bool // the source was gone and is left out
}

// deliver sends until nothing is left, as much in each call as the kernel takes.
// Each remedy is taken once, and what was sent is not sent again.
func (s *sender) deliver(b *batch.Batch, t *train) error {
	var suspect syscall.Errno // what made us send singly
	var refused int           // the number of datagrams that was refused
	for {
		tried, err := s.push(t)
		switch errno := s.errno; {
		case err != nil:
			return s.conn.pollError(err)
		case errno == 0 && len(t.rest) > 0: // B20: the kernel may stop short
		case errno == 0:
			s.learn(b, t, suspect, refused)
			if t.lost {
				return ErrSourceGone
			}
			return nil
		case errno == unix.EAGAIN && s.waits > 0:
			s.waits--
			s.conn.calls.sleep(oneWait)
		case tried > 1 && (errno == unix.EIO || errno == unix.EMSGSIZE || errno == unix.EINVAL): // B61
			suspect, refused = errno, tried
			t.segments = 1
		case sourceGone(errno) && t.said.source.IsValid():
			t.said.source, t.said.index, t.lost = netip.Addr{}, 0, true
			if suspect == unix.EINVAL {
				suspect = 0 // it was about the source all along
			}
		default:
			return s.failed(b, t, errno)
		}
	}
}

// learn notes what the endpoint has refused (B61), now that everything was sent
// singly.
func (s *sender) learn(b *batch.Batch, t *train, suspect syscall.Errno, refused int) {
	switch suspect {
	case unix.EIO:
		s.limits.none(b.Remote.Remote)
	case unix.EMSGSIZE:
		s.limits.tooLong(b.Remote.Remote, t.stride)
	case unix.EINVAL:
		s.limits.tooMany(b.Remote.Remote, refused)
	}
}

// sourceGone: what the kernel says of a source address, or its interface, that
// does not exist (any more).
func sourceGone(errno syscall.Errno) bool {
	switch errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EINVAL, unix.EADDRNOTAVAIL, unix.ENODEV:
		return true
	}
	return false
}

func (s *sender) failed(b *batch.Batch, t *train, errno syscall.Errno) error {
	if zone := b.Remote.Remote.Addr().Zone(); zone != "" {
		delete(s.scopes, zone) // the interface may have come back with another number
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

// push makes one call, and removes what the kernel has taken from the rest of the
// train. The result is in s.errno. tried is the number of datagrams in one message:
// more than one if the kernel is to cut it.
func (s *sender) push(t *train) (tried int, err error) {
	size := t.message(s.conn.v4)
	tried = max((size+t.stride-1)/max(t.stride, 1), 1)
	said := t.said
	if tried > 1 {
		said.stride = t.stride
	}
	s.control = appendControl(s.control[:0], s.conn.v4, said)
	if s.count = 0; tried == 1 && len(t.rest) > t.stride {
		s.singles(t)
	} else { // most often, beside a stream: an acknowledgement
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

// message is the size of the next message: of one that the kernel is to cut, as far
// as one UDP datagram could carry it, or of a single datagram.
func (t *train) message(v4 bool) int {
	single := min(t.stride, len(t.rest))
	if t.segments <= 1 || len(t.rest) <= t.stride {
		return single
	}
	most := batch.MaxDatagram6
	if v4 {
		most = batch.MaxDatagram4
	}
	segments := min(t.segments, most/t.stride)
	if segments <= 1 {
		return single
	}
	return min(segments*t.stride, len(t.rest))
}

// singles makes one message of each datagram, of MaxSegments at most.
func (s *sender) singles(t *train) {
	for rest := t.rest; s.count < MaxSegments && len(rest) > 0; s.count++ {
		part := rest[:min(t.stride, len(rest))]
		rest = rest[len(part):]
		s.single(part)
	}
}

// single makes the next message of hdrs.
func (s *sender) single(part []byte) {
	if s.hdrs == nil {
		s.hdrs, s.iovs = make([]mmsghdr, MaxSegments), make([]unix.Iovec, MaxSegments)
	}
	iov := &s.iovs[s.count]
	iov.Base = &part[0]
	iov.SetLen(len(part))
	s.most = max(s.most, s.count+1)
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

// sendNow sends the message, or those of the single datagrams.
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

// address writes the remote address and finds its scope (A54).
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
	if poll := s.conn.socket.control(func(fd int) { found.scope, found.ok = s.scopes.ask(fd, zone) }); poll != nil {
		return 0, s.conn.pollError(poll)
	}
	if !found.ok {
		return 0, unix.ENODEV
	}
	return found.scope, nil
}

// forget does what Forget has asked for since the last call.
func (s *sender) forget() {
	if asked := s.conn.forgets.Load(); asked != s.forgets {
		s.forgets = asked
		s.limits.forget()
	}
}
