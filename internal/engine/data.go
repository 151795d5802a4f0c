package engine

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"wgd/internal/batch"
	"wgd/internal/dataplane"
	"wgd/internal/packet"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
)

const (
	// readSize holds the largest super-packet behind its virtio header.
	readSize = packet.VirtioHeaderSize + 65535

	// drainBytes and drainPackets end the draining of small packets into one
	// batch: what has gathered by then is worth a send of its own.
	drainBytes   = 16 << 10
	drainPackets = 64

	// deepReceive is how many trains are asked for at once while they are
	// short: a long one (GRO at work) fills a turn by itself.
	deepReceive = udp.MaxDepth
	longTrain   = 16 << 10

	// errorPause keeps a socket or interface that fails again and again from
	// taking a core.
	errorPause = 10 * time.Millisecond
)

// outlet is the way to the sockets of the moment: none while the interface is
// down. It is the data plane's UDP.
type outlet struct{ sockets atomic.Pointer[Sockets] }

func (o *outlet) set(s Sockets) {
	if s == nil {
		o.sockets.Store(nil)
		return
	}
	o.sockets.Store(&s)
}

// Send sends one train, or answers net.ErrClosed while there is no socket.
func (o *outlet) Send(b *batch.Batch) error {
	if s := o.sockets.Load(); s != nil {
		return (*s).Send(b)
	}
	return net.ErrClosed
}

// tunReader carries packets out until the interface is gone.
func (e *Engine) tunReader() {
	defer e.running.Done()
	// The first read may bring a whole super-packet; more are only read while
	// what has come is small.
	buf := make([]byte, readSize+drainBytes+readSize)
	enc := dataplane.NewEncapsulator(e.shared, e.inbox)
	raws := make([][]byte, 0, drainPackets)
	for {
		n, err := e.world.TUN.Read(buf[:readSize])
		if err != nil {
			if e.interfaceLost(err) {
				return
			}
			continue
		}
		raws = append(raws[:0], buf[:n])
		for used := n; used < drainBytes && len(raws) < drainPackets; used += n {
			var ok bool
			if n, ok, err = e.world.TUN.TryRead(buf[used : used+readSize]); err != nil || !ok {
				break
			}
			raws = append(raws, buf[used:used+n])
		}
		enc.Encapsulate(e.world.Clock().Mono, raws)
	}
}

// interfaceLost decides whether a failed read is the end: it is when the
// interface was deleted (A62) or the engine closes.
func (e *Engine) interfaceLost(err error) bool {
	if errors.Is(err, tun.ErrGone) {
		e.InterfaceGone()
		return true
	}
	select {
	case <-e.closing:
		return true
	case <-time.After(errorPause):
		e.world.Log.Debug("read from the interface failed", "err", err)
		return false
	}
}

// socketReader carries datagrams in until its socket is closed.
func (e *Engine) socketReader(c udp.Conn) {
	defer e.running.Done()
	dec := dataplane.NewDecapsulator(e.shared, e.inbox, e.admit)
	bs := make([]batch.Batch, deepReceive)
	depth := 1
	for {
		n, err := c.Recv(bs[:depth])
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
				return
			}
			e.world.Log.Debug("receive failed", "err", err)
			time.Sleep(errorPause)
			continue
		}
		dec.Receive(e.world.Clock().Mono, bs[:n])
		total := 0
		for i := range bs[:n] {
			total += len(bs[i].Data)
		}
		if depth = deepReceive; total > n*longTrain {
			depth = 1
		}
	}
}

// admit decides, before the handshake queue, about a message of type 1 to 3.
func (e *Engine) admit(from wire.Endpoint, msg []byte) {
	if t, ok := wire.TypeOf(msg); !ok || t == wire.TypeData {
		return
	} else if t != wire.TypeCookieReply && !e.passGate(from, msg) {
		return
	}
	if !e.inbox.putHandshake(from, msg) {
		e.drops.Add(dataplane.DropQueueFull, 1)
	}
}
