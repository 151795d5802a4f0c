package udp

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// SendAll sends successive trains in one call, as far as each of them is one message and
// Send would make no other call for it. All others are left to Send, in their turn, so that
// no train to a destination overtakes another.
//
// A call ends at the first train that the kernel refuses, and all after it were prepared in
// vain. So when Send fails, too, or only sends without the source, as many trains are left
// to it as have had that so far. Where much waits, none are prepared in vain: such
// destinations have sockets of their own, and a socket that is full is stuck.
func (s *sender) SendAll(bs []batch.Batch, errs []error) {
	failed, alone := 0, 0
	for i := 0; i < len(bs); {
		vain := alone > 0
		if !vain {
			var sent int
			sent, vain = s.sendTogether(bs[i:])
			clear(errs[i : i+sent])
			if i += sent; sent == MaxSegments || i == len(bs) {
				continue
			}
		}
		switch errs[i] = s.Send(&bs[i]); { // it finds out why the call ended
		case errs[i] == nil:
			alone = max(alone-1, 0)
		case vain && !errors.Is(errs[i], ErrBacklog):
			failed++
			alone = failed
		}
		i++
	}
}

// sendTogether sends the first trains of bs in one call, and returns how many the kernel
// accepted, and whether trains after those were prepared in vain. Unless all of bs or
// MaxSegments are sent, the next one needs Send: the kernel refused it, or sendTogether did
// not try.
func (s *sender) sendTogether(bs []batch.Batch) (sent int, vain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck || s.conn.closed.Load() {
		return 0, false
	}
	s.count = s.gather(bs[:min(len(bs), MaxSegments)])
	var err error
	if s.count > 1 {
		err = s.conn.socket.try(s.onSend)
	}
	clear(s.iovs[:s.count]) // otherwise they would keep the caller's buffer alive
	if s.count > 1 && err == nil && s.errno == 0 {
		sent = s.taken
	}
	for i := range bs[sent:s.count] { // they are charged when they are tried again
		b := &bs[sent+i]
		s.budget += cost(len(b.Data), b.Count())
	}
	return sent, s.count > 1 && sent < s.count
}

// gather prepares a message for each of the first trains of bs that can be sent together.
// It returns their number.
func (s *sender) gather(bs []batch.Batch) (n int) {
	s.makeMessages()
	s.controls = s.controls[:0]
	var last control
	for n < len(bs) && s.joins(&bs[n]) {
		b, h := &bs[n], &s.hdrs[n].hdr
		name, iov := &s.names[n], &s.iovs[n]
		h.Name, h.Namelen = &name[0], name.set(b.Remote.Remote, 0)
		iov.Base = unsafe.SliceData(b.Data)
		iov.SetLen(len(b.Data))
		h.Iov = iov
		h.SetIovlen(1)
		info := s.conn.controlOf(b)
		if b.Count() > 1 {
			info.stride = b.Stride
		}
		if n > 0 && info == last { // usually: all are from one source
			before := &s.hdrs[n-1].hdr
			h.Control, h.Controllen = before.Control, before.Controllen
		} else {
			s.setControl(h, info)
		}
		last = info
		n++
	}
	return n
}

// joins reports whether a train can be sent together with others. If so, it is charged.
func (s *sender) joins(b *batch.Batch) bool {
	c, to := s.conn, b.Remote.Remote
	return b.Class == batch.Data && !b.DontFragment && b.Remote.IsValid() &&
		is4(to.Addr()) == c.v4 && to.Addr().Zone() == "" && s.oneMessage(b) &&
		c.slow.find(to) == nil && s.charge(b)
}

// charge is mustQuery for a train that is left to Send, and so not charged, if a query is
// needed.
func (s *sender) charge(b *batch.Batch) bool {
	if c := cost(len(b.Data), b.Count()); c <= s.budget {
		s.budget -= c
		return true
	}
	return false
}

// oneMessage reports whether the kernel probably accepts the train as one message.
func (s *sender) oneMessage(b *batch.Batch) bool {
	n := b.Count()
	return n == 1 || n <= MaxSegments && len(b.Data) <= longest(s.conn.v4) && s.conn.caps.GSO && s.limits.unlimited(b.Remote.Remote)
}

// setControl appends the control messages of h to controls.
func (s *sender) setControl(h *unix.Msghdr, info control) {
	at := len(s.controls)
	s.controls = appendControl(s.controls, s.conn.v4, info)
	h.Control = nil
	if len(s.controls) > at {
		h.Control = &s.controls[at]
	}
	h.SetControllen(len(s.controls) - at)
}

// makeMessages makes room for several messages.
func (s *sender) makeMessages() {
	if s.hdrs == nil {
		s.hdrs, s.iovs = make([]mmsghdr, MaxSegments), make([]unix.Iovec, MaxSegments)
		s.names, s.controls = make([]sockaddr, MaxSegments), make([]byte, 0, MaxSegments*controlSize)
	}
}
