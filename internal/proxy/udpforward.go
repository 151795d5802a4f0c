package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxFlows is how many flows a UDPForward has. The one that was silent for
	// longest gives way to another.
	maxFlows = 1024
	// maxQueued is how many datagrams wait for a flow that is being opened or is
	// slow.
	maxQueued = 16
	// maxQueuedBytes is how many bytes all of them have together.
	maxQueuedBytes = 8 << 20
	// defaultFlowTimeout is the timeout that RFC 4787 wants at least.
	defaultFlowTimeout = 2 * time.Minute
)

// A UDPForward relays datagrams between the clients of a socket and one target.
// Each source address has a flow, with a socket of its own towards the target.
type UDPForward struct {
	// Dial opens the socket of a flow. Its error names the target.
	Dial func(ctx context.Context) (net.Conn, error)
	// Timeout is how long a flow may be silent in both directions before it is
	// closed. 0 means two minutes, and less than 0 no limit.
	Timeout time.Duration
	// Log gets a line for each flow that cannot be opened. It may be nil.
	Log *slog.Logger
}

// Serve serves the clients of a socket.
func (f *UDPForward) Serve(ctx context.Context, local net.PacketConn) error {
	inner, cancel := context.WithCancel(ctx)
	s := &udpForwarder{UDPForward: f, ctx: inner, log: logger(f.Log), local: local, flows: map[string]*flow{}}
	defer s.running.Wait()
	defer local.Close()
	defer cancel()
	stop := context.AfterFunc(inner, func() { local.Close() })
	defer stop()
	in := packetReader{wait: waiterOf(local)}
	defer in.release()
	err := readErrors(inner, func() error {
		buf, err := in.buffer()
		if err != nil {
			return err
		}
		n, from, err := local.ReadFrom(buf)
		if err == nil {
			s.deliver(from, buf[:n])
		}
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// udpForwarder is the state of one call of UDPForward.Serve.
type udpForwarder struct {
	*UDPForward
	ctx     context.Context
	log     *slog.Logger
	local   net.PacketConn
	running sync.WaitGroup
	queued  atomic.Int64 // bytes that wait in the queues

	mu    sync.Mutex
	flows map[string]*flow // by the client's address
}

// A flow is what belongs to one client. Two goroutines serve it, one for each
// direction.
type flow struct {
	client net.Addr // its String is a key, which may have more than address and port
	queue  chan []byte
	cancel context.CancelFunc

	mu   sync.Mutex
	used time.Time
}

// deliver queues a datagram of a client for the target.
func (s *udpForwarder) deliver(client net.Addr, data []byte) {
	s.mu.Lock() // so that the flow is not retired in between
	defer s.mu.Unlock()
	s.enqueue(s.flow(client), data)
}

// flow returns the flow of a client, and opens one if there is none. s.mu is held.
func (s *udpForwarder) flow(client net.Addr) *flow {
	key := client.String()
	if f := s.flows[key]; f != nil {
		return f
	}
	if len(s.flows) >= maxFlows {
		s.closeOldest()
	}
	ctx, cancel := context.WithCancel(s.ctx)
	f := &flow{client: client, queue: make(chan []byte, maxQueued), cancel: cancel, used: time.Now()}
	s.flows[key] = f
	s.running.Go(func() {
		defer cancel()
		s.run(ctx, key, f)
		s.forget(key, f)
		for len(f.queue) > 0 {
			s.dequeued(<-f.queue)
		}
	})
	return f
}

// closeOldest closes the flow that was silent for longest. s.mu is held.
func (s *udpForwarder) closeOldest() {
	var oldest string
	var since time.Time
	for key, f := range s.flows {
		if used := f.lastUsed(); oldest == "" || used.Before(since) {
			oldest, since = key, used
		}
	}
	s.flows[oldest].cancel()
	delete(s.flows, oldest)
}

func (s *udpForwarder) forget(key string, f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flows[key] == f {
		delete(s.flows, key)
	}
}

// run serves a flow until ctx is done or the flow was silent for too long.
func (s *udpForwarder) run(ctx context.Context, key string, f *flow) {
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	remote, err := s.Dial(limited)
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			s.log.Info("UDP forward failed", "client", addrPort(f.client), "error", err)
		}
		return
	}
	var receiving sync.WaitGroup
	defer receiving.Wait()
	defer remote.Close()
	receiving.Go(func() { s.receive(ctx, f, remote) })
	idle := s.Timeout
	if idle == 0 {
		idle = defaultFlowTimeout
	}
	var silent <-chan time.Time // never, without a limit
	var timer *time.Timer
	if idle > 0 {
		timer = time.NewTimer(idle)
		defer timer.Stop()
		silent = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-f.queue:
			s.dequeued(data)
			remote.Write(data) // an error is about an earlier one
		case <-silent:
			left := s.retire(key, f, idle)
			if left <= 0 {
				return
			}
			timer.Reset(left)
		}
	}
}

// retire removes a flow that was silent for long enough, so that the next datagram
// opens another one, or returns how long it may still be silent.
func (s *udpForwarder) retire(key string, f *flow, idle time.Duration) (left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left = idle - time.Since(f.lastUsed()); left <= 0 && s.flows[key] == f {
		delete(s.flows, key)
	}
	return left
}

// receive relays what the target sends.
func (s *udpForwarder) receive(ctx context.Context, f *flow, remote net.Conn) {
	in := packetReader{wait: waiterOf(remote)}
	defer in.release()
	err := readErrors(ctx, func() error {
		buf, err := in.buffer()
		if err != nil {
			return err
		}
		n, err := remote.Read(buf)
		if err != nil {
			return err
		}
		f.touch()
		s.local.WriteTo(buf[:n], f.client)
		return nil
	})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Info("UDP forward ends", "client", addrPort(f.client), "error", err)
		f.cancel() // the next datagram opens another one
	}
}

// enqueue keeps a copy of a datagram for the target, or drops it if there are too
// many. s.mu is held.
func (s *udpForwarder) enqueue(f *flow, data []byte) {
	f.touch()
	if len(f.queue) == cap(f.queue) || s.queued.Load()+int64(len(data)) > maxQueuedBytes {
		return
	}
	s.queued.Add(int64(len(data)))
	f.queue <- append([]byte(nil), data...) // only the holder of s.mu fills it
}

func (s *udpForwarder) dequeued(data []byte) { s.queued.Add(-int64(len(data))) }

func (f *flow) touch() {
	f.mu.Lock()
	f.used = time.Now()
	f.mu.Unlock()
}

func (f *flow) lastUsed() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}
