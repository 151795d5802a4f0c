package engine

import (
	"errors"
	"net"
	"os"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// fakeSockets are sockets whose Send calls a function of the test.
type fakeSockets struct {
	Sockets
	send    func() error
	senders int
}

func (s *fakeSockets) NewSender() udp.Sender { s.senders++; return s }

func (s *fakeSockets) Send(*batch.Batch) error { return s.send() }

func (s *fakeSockets) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

// A train that finds its sockets replaced goes to the new ones; without sockets it is
// not sent. A sender creates only one Sender of each.
func TestSenderFollowsTheSockets(t *testing.T) {
	var e Engine
	s := e.newSender()
	if err := s.Send(&batch.Batch{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("without sockets: %v", err)
	}
	sent := 0
	second := &fakeSockets{send: func() error { sent++; return nil }}
	first := &fakeSockets{send: func() error { e.sockets.set(second); return os.ErrClosed }}
	e.sockets.set(first)
	for range 2 {
		if err := s.Send(&batch.Batch{}); err != nil {
			t.Error(err)
		}
	}
	if sent != 2 || first.senders != 1 || second.senders != 1 {
		t.Errorf("%d sent, by %d and %d senders", sent, first.senders, second.senders)
	}
	// Sockets that are closed and not replaced return an error, without a retry.
	calls := 0
	e.sockets.set(&fakeSockets{send: func() error { calls++; return os.ErrClosed }})
	if err := s.Send(&batch.Batch{}); !errors.Is(err, os.ErrClosed) || calls != 1 {
		t.Errorf("closed sockets: %v after %d calls", err, calls)
	}
	e.sockets.set(&fakeSockets{send: func() error { e.sockets.set(nil); return os.ErrClosed }})
	if err := s.Send(&batch.Batch{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the interface went down: %v", err)
	}
}
