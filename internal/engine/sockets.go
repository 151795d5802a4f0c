package engine

import (
	"errors"
	"net"
	"os"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// socketsInUse holds the sockets of the interface: none while it is down, or if
// they could not be opened. It is safe for concurrent use.
type socketsInUse struct{ p atomic.Pointer[Sockets] }

// get returns the sockets in use, or nil.
func (u *socketsInUse) get() Sockets {
	if s := u.p.Load(); s != nil {
		return *s
	}
	return nil
}

// set replaces the sockets in use by s, which may be nil, and returns the old ones.
func (u *socketsInUse) set(s Sockets) (old Sockets) {
	next := &s
	if s == nil {
		next = nil
	}
	if p := u.p.Swap(next); p != nil {
		return *p
	}
	return nil
}

// A sender sends through the sockets in use, for one goroutine at a time, and does
// not wait for other senders. It is the data plane's UDP.
type sender struct {
	sockets *socketsInUse
	of      *Sockets // the sockets to which udp belongs
	udp     udp.Sender
}

func (e *Engine) newSender() *sender { return &sender{sockets: &e.sockets} }

// Send sends one train. It returns net.ErrClosed while there are no sockets. If the
// sockets are replaced meanwhile, it uses the new ones.
func (s *sender) Send(b *batch.Batch) error {
	for {
		by, now := s.current()
		if by == nil {
			return net.ErrClosed
		}
		err := by.Send(b)
		if err == nil || !errors.Is(err, os.ErrClosed) || s.sockets.p.Load() == now {
			return err
		}
	}
}

// SendAll sends several trains, as Send does.
func (s *sender) SendAll(bs []batch.Batch, errs []error) {
	by, now := s.current()
	if by == nil {
		batch.SendInTurn(s.Send, bs, errs)
		return
	}
	by.SendAll(bs, errs)
	if s.sockets.p.Load() == now {
		return
	}
	for i, err := range errs {
		if errors.Is(err, os.ErrClosed) {
			errs[i] = s.Send(&bs[i])
		}
	}
}

// current returns the Sender of the sockets in use, and these; nil if there are none.
func (s *sender) current() (by udp.Sender, of *Sockets) {
	of = s.sockets.p.Load()
	if of == nil {
		return nil, nil
	}
	if of != s.of {
		s.of, s.udp = of, (*of).NewSender()
	}
	return s.udp, of
}
