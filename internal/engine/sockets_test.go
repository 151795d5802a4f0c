package engine

import (
	"errors"
	"net"
	"os"
	"slices"
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

// Trains that were sent together and find their sockets replaced go to the new ones, and
// those that were sent before do not; without sockets none is sent.
func TestSendAllFollowsTheSockets(t *testing.T) {
	var e Engine
	s := e.newSender()
	bs, errs := make([]batch.Batch, 5), make([]error, 5)
	s.SendAll(bs, errs)
	for i, err := range errs {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("without sockets, train %d: %v", i, err)
		}
	}
	sent, refused := 0, errors.New("no buffers")
	second := &fakeSockets{send: func() error { sent++; return nil }}
	calls := 0
	e.sockets.set(&fakeSockets{send: func() error {
		switch calls++; calls {
		case 1:
			return nil
		case 2:
			return refused
		case 3:
			e.sockets.set(second)
		}
		return os.ErrClosed
	}})
	s.SendAll(bs, errs)
	if want := []error{nil, refused, nil, nil, nil}; !slices.Equal(errs, want) || calls != 5 || sent != 3 {
		t.Errorf("%v after %d sends to the old and %d to the new sockets, want %v", errs, calls, sent, want)
	}
	if s.SendAll(bs, errs); sent != 8 {
		t.Errorf("%d trains were sent to the new sockets, want 8", sent)
	}
	// Sockets that are closed and not replaced return an error, without a retry.
	calls = 0
	e.sockets.set(&fakeSockets{send: func() error { calls++; return os.ErrClosed }})
	if s.SendAll(bs, errs); !errors.Is(errs[0], os.ErrClosed) || calls != 5 {
		t.Errorf("closed sockets: %v after %d calls", errs[0], calls)
	}
}
