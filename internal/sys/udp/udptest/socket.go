package udptest

import (
	"os"
	"time"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// socket is a udp.Socket of a Group. It is also its own Receiver, because it has no
// buffers.
type socket struct {
	queue  chan batch.Batch
	closed chan struct{}
}

func newSocket() *socket {
	return &socket{queue: make(chan batch.Batch, 4096), closed: make(chan struct{})}
}

func (s *socket) NewReceiver() udp.Receiver { return s }

func (s *socket) Recv(bs []batch.Batch) (int, error) {
	if s.isClosed() {
		return 0, os.ErrClosed
	}
	select {
	case bs[0] = <-s.queue:
	case <-s.closed:
		return 0, os.ErrClosed
	}
	return s.drain(bs, 1)
}

func (s *socket) TryRecv(bs []batch.Batch) (int, error) {
	if s.isClosed() {
		return 0, os.ErrClosed
	}
	return s.drain(bs, 0)
}

// drain fills bs from position n on, without waiting.
func (s *socket) drain(bs []batch.Batch, n int) (int, error) {
	for ; n < min(len(bs), udp.MaxDepth); n++ {
		select {
		case bs[n] = <-s.queue:
		default:
			return n, nil
		}
	}
	return min(len(bs), udp.MaxDepth), nil
}

// Wait polls: a channel cannot be waited for without receiving from it.
func (s *socket) Wait() error {
	const pause = 50 * time.Microsecond
	for !s.isClosed() {
		if len(s.queue) > 0 {
			return nil
		}
		time.Sleep(pause)
	}
	return os.ErrClosed
}

func (s *socket) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}
