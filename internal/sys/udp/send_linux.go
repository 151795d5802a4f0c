package udp

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// sender is the state of Send, under the lock sending.
type sender struct {
	limits limits
	scopes scopes

	name    sockaddr
	namelen uint32
	control []byte

	// A train: one message that the kernel cuts.
	hdr unix.Msghdr
	iov unix.Iovec
	// Single datagrams: made on first use.
	hdrs  []mmsghdr
	iovs  []unix.Iovec
	first int // of hdrs, not yet sent
	count int // of hdrs, in use
	most  int // of iovs, used by this Send
	errno syscall.Errno
}

func (s *sender) init() {
	s.limits, s.scopes = make(limits), make(scopes)
	s.control = make([]byte, 0, controlSize)
}

func (c *conn) Send(b *batch.Batch) error {
	if !b.Remote.IsValid() {
		return ErrBadEndpoint
	}
	if is4(b.Remote.Remote.Addr()) != c.v4 {
		return ErrNoFamily
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.closed.Load() {
		return os.ErrClosed
	}
	if err := c.address(b); err != nil {
		return err
	}
	t := train{rest: b.Data, stride: b.Stride, said: control{tos: b.TOS&^3 | b.ECN&3}}
	if t.stride <= 0 || t.stride > len(t.rest) {
		t.stride = len(t.rest)
	}
	if from := b.Remote.Source.Unmap(); from.Is4() == c.v4 && from.IsValid() {
		t.said.source, t.said.index = from, b.Remote.SourceIndex
	}
	t.segments = 1
	if c.gso.Load() && len(t.rest) > t.stride {
		t.segments = c.tx.limits.segments(b.Remote.Remote, t.stride)
	}
	err := c.deliver(b, &t)
	clear(c.tx.iovs[:c.tx.most]) // the caller's buffer is not kept alive
	c.tx.most = 0
	c.tx.iov.Base = nil
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

// deliver sends until nothing is left. Each remedy is taken once, and what was
// sent is not sent again.
func (c *conn) deliver(b *batch.Batch, t *train) error {
	var suspect syscall.Errno // what made us send singly
	var refused int           // the number of datagrams that was refused
	for {
		tried, errno, err := c.push(t)
		switch {
		case err != nil:
			return c.pollError(err)
		case errno == 0:
			c.learn(b, t, suspect, refused)
			if t.lost {
				return ErrSourceGone
			}
			return nil
		case tried > 1 && errno == unix.EIO: // B61: no checksum offload on the way out
			c.gso.Store(false)
			t.segments = 1
		case tried > 1 && (errno == unix.EMSGSIZE || errno == unix.EINVAL):
			suspect, refused = errno, tried
			t.segments = 1
		case sourceGone(errno) && t.said.source.IsValid():
			t.said.source, t.said.index, t.lost = netip.Addr{}, 0, true
			if suspect == unix.EINVAL {
				suspect = 0 // it was about the source all along
			}
		default:
			return c.failed(b, t, errno)
		}
	}
}

// learn lowers the size for the endpoint (B61), now that everything has
// arrived in the other way.
func (c *conn) learn(b *batch.Batch, t *train, suspect syscall.Errno, refused int) {
	switch suspect {
	case unix.EMSGSIZE:
		c.tx.limits.tooLong(b.Remote.Remote, t.stride)
	case unix.EINVAL:
		c.tx.limits.tooMany(b.Remote.Remote, refused)
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

func (c *conn) failed(b *batch.Batch, t *train, errno syscall.Errno) error {
	if zone := b.Remote.Remote.Addr().Zone(); zone != "" {
		delete(c.tx.scopes, zone) // the interface may have come back with another number
	}
	if t.lost {
		return errors.Join(ErrSourceGone, errno)
	}
	return errno
}

// push sends as much as it can in the present way; tried is the number of
// datagrams of the call that failed.
func (c *conn) push(t *train) (tried int, errno syscall.Errno, err error) {
	if t.segments > 1 {
		return c.pushTrains(t)
	}
	return c.pushSingles(t)
}

// pushTrains has the kernel cut: one call for up to t.segments datagrams, as
// far as one UDP datagram could carry them.
func (c *conn) pushTrains(t *train) (tried int, errno syscall.Errno, err error) {
	most := batch.MaxDatagram6
	if c.v4 {
		most = batch.MaxDatagram4
	}
	most = min(t.segments, most/t.stride) * t.stride
	if most <= t.stride {
		return c.pushSingles(t)
	}
	s := &c.tx
	said := t.said
	said.stride = t.stride
	s.control = appendControl(s.control[:0], c.v4, said)
	for len(t.rest) > t.stride {
		part := t.rest[:min(most, len(t.rest))]
		if err := c.pushMessage(part); err != nil {
			return 0, 0, err
		}
		if s.errno != 0 {
			return (len(part) + t.stride - 1) / t.stride, s.errno, nil
		}
		t.rest = t.rest[len(part):]
	}
	if len(t.rest) == 0 {
		return 0, 0, nil
	}
	return c.pushSingles(t) // one is no train
}

// pushMessage sends one message with s.control; the result is in s.errno.
func (c *conn) pushMessage(part []byte) error {
	s := &c.tx
	s.iov.Base = unsafe.SliceData(part)
	s.iov.SetLen(len(part))
	s.fill(&s.hdr, &s.iov)
	return c.socket.write(c.onSend)
}

// pushSingles sends datagram by datagram, MaxSegments in a call.
func (c *conn) pushSingles(t *train) (tried int, errno syscall.Errno, err error) {
	s := &c.tx
	s.control = appendControl(s.control[:0], c.v4, t.said)
	if len(t.rest) <= t.stride { // most often, beside a stream: an acknowledgement
		if err := c.pushMessage(t.rest); err != nil {
			return 0, 0, err
		}
		return 1, s.errno, nil
	}
	for {
		s.first, s.count = 0, 0
		for rest := t.rest; s.count < MaxSegments && len(rest) > 0; s.count++ {
			part := rest[:min(t.stride, len(rest))]
			rest = rest[len(part):]
			s.single(part)
		}
		for s.first < s.count { // B20: the kernel may stop short
			if err := c.socket.write(c.onPlain); err != nil {
				return 0, 0, err
			}
			if s.errno != 0 {
				break
			}
		}
		t.rest = t.rest[min(s.first*t.stride, len(t.rest)):]
		if s.errno != 0 || len(t.rest) == 0 {
			return 1, s.errno, nil
		}
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

func (c *conn) sendNow(uintptr) bool {
	fd := uintptr(c.socket.fd)
	s := &c.tx
	for {
		if _, s.errno = c.calls.sendmsg(fd, &s.hdr); s.errno != unix.EINTR {
			return c.sentOrBlocked()
		}
	}
}

func (c *conn) plainNow(uintptr) bool {
	fd := uintptr(c.socket.fd)
	s := &c.tx
	for {
		var n int
		if n, s.errno = c.calls.sendmmsg(fd, s.hdrs[s.first:s.count]); s.errno == 0 {
			s.first += n
		}
		if s.errno != unix.EINTR {
			return c.sentOrBlocked()
		}
	}
}

// sentOrBlocked: after EAGAIN, the socket is watched until it is writable.
func (c *conn) sentOrBlocked() bool {
	if c.tx.errno != unix.EAGAIN {
		return true
	}
	c.socket.blocked()
	return false
}

// address writes the remote address and finds its scope (A54).
func (c *conn) address(b *batch.Batch) error {
	to := b.Remote.Remote
	var scope uint32
	if zone := to.Addr().Zone(); zone != "" {
		var err error
		if scope, err = c.scope(zone); err != nil {
			return err
		}
	}
	c.tx.namelen = c.tx.name.set(to, scope)
	return nil
}

func (c *conn) scope(zone string) (uint32, error) {
	if scope, ok := c.tx.scopes.known(zone); ok {
		return scope, nil
	}
	var found struct {
		scope uint32
		ok    bool
	}
	if poll := c.socket.control(func(fd int) { found.scope, found.ok = c.tx.scopes.ask(fd, zone) }); poll != nil {
		return 0, c.pollError(poll)
	}
	if !found.ok {
		return 0, unix.ENODEV
	}
	return found.scope, nil
}

func (c *conn) Forget() {
	c.sending.Lock()
	defer c.sending.Unlock()
	clear(c.tx.limits)
}
