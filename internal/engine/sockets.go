package engine

import (
	"errors"
	"net"
	"os"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// socketsInUse are the sockets that the interface has at the moment: none while it
// is down, or when they could not be opened. Any goroutine may look.
type socketsInUse struct{ p atomic.Pointer[Sockets] }

// get is nil if there are none.
func (u *socketsInUse) get() Sockets {
	if s := u.p.Load(); s != nil {
		return *s
	}
	return nil
}

// set replaces the sockets, by none if s is nil, and returns those that were in use.
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

// sender sends through the sockets in use, for one goroutine at a time, and does not
// wait for other senders. It is the data plane's UDP.
type sender struct {
	sockets *socketsInUse
	of      *Sockets // to which by belongs
	by      udp.Sender
}

func (e *Engine) newSender() *sender { return &sender{sockets: &e.sockets} }

// Send sends one train, or answers net.ErrClosed while there are no sockets. A train
// whose sockets are replaced meanwhile goes to the new ones.
func (s *sender) Send(b *batch.Batch) error {
	for {
		now := s.sockets.p.Load()
		if now == nil {
			return net.ErrClosed
		}
		if now != s.of {
			s.of, s.by = now, (*now).NewSender()
		}
		err := s.by.Send(b)
		if err == nil || !errors.Is(err, os.ErrClosed) || s.sockets.p.Load() == now {
			return err
		}
	}
}
