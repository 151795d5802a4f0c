package engine

import (
	"errors"
	"net"
	"os"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/dataplane"
	"wgd/internal/sys/pages"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// tunReader carries packets out until the interface is gone.
func (e *Engine) tunReader() {
	m, ok := e.world.TUN.(tun.MultiQueue)
	if ok && min(e.mostQueues(), m.MostQueues()) > 1 {
		b := e.bundle("out", outQueues{e, m}, min(e.mostQueues(), m.MostQueues()))
		b.lasting = true
		b.lead()
		return
	}
	l := e.outLane(e.world.TUN, dataplane.NewEncapsulator(e.shared, e.world.TUN, e.outlet))
	l.lead(l.chief)
}

// outLane is a lane from the interface, or from a queue of it.
func (e *Engine) outLane(from packets, enc *dataplane.Encapsulator) *lane {
	another := func() carrier {
		o := &outward{engine: e, from: from, enc: enc, job: enc.NewJob(), raws: make([][]byte, 0, drainPackets)}
		o.buf = pages.For(o, tun.BufferSize+drainBytes+tun.BufferSize)
		return o
	}
	l := newLane(e.policy("out", true), e.gear, &e.running, another)
	l.chief = another()
	return l
}

// socketReader carries datagrams in until its socket is closed.
func (e *Engine) socketReader(c udp.Conn) {
	if m, ok := c.(udp.MultiSocket); ok && e.mostQueues() > 1 {
		e.bundle("in", inQueues{e, m}, e.mostQueues()).lead()
		return
	}
	l := e.inLane(c, dataplane.NewDecapsulator(e.shared, e.world.TUN, e.admit))
	l.lead(l.chief)
}

// inLane is a lane from a socket, which may be Shareable.
func (e *Engine) inLane(c any, dec *dataplane.Decapsulator) *lane {
	begin := func(from udp.Receiver) carrier {
		return &inward{engine: e, dec: dec, job: dec.NewJob(), from: from, bs: make([]batch.Batch, deepReceive), depth: 1}
	}
	shareable, ok := c.(udp.Shareable)
	if !ok {
		l := newLane(e.policy("in", false), e.gear, &e.running, nil)
		l.chief = begin(unshared{c.(udp.Conn)})
		return l
	}
	another := func() carrier { return begin(shareable.NewReceiver()) }
	l := newLane(e.policy("in", true), e.gear, &e.running, another)
	l.chief = another()
	return l
}

// policy is how a lane is spread.
func (e *Engine) policy(way string, shareable bool) policy {
	switch {
	case !shareable:
		return newForcedPolicy(1)
	case e.world.Spread > 0:
		return newForcedPolicy(e.world.Spread)
	}
	return newPolicy(e.cores, e.world.Usage, func(width int, why string) {
		e.world.Log.Debug("goroutines that carry packets at once", "way", way, "number", width, "why", why)
	})
}

// unshared is a socket from which only one goroutine can receive.
type unshared struct{ udp.Conn }

func (unshared) TryRecv([]batch.Batch) (int, error) { return 0, nil }

// packets is the interface, or a queue of it.
type packets interface {
	Read(b []byte) (n int, err error)
	TryRead(b []byte) (n int, ok bool, err error)
}

// outward is a carrier from the interface to the sockets.
type outward struct {
	engine   *Engine
	from     packets
	enc      *dataplane.Encapsulator
	job      *dataplane.SealJob
	buf      []byte
	raws     [][]byte
	now      clock.Time
	failures int
}

// The first read may bring a whole super-packet; more are only read while what
// has come is small.
func (o *outward) read(wait bool) (arrival, error) {
	o.raws = o.raws[:0]
	n, err := o.readOne(wait)
	if err != nil || n == 0 {
		return arrival{}, err
	}
	o.failures = 0
	o.raws = append(o.raws, o.buf[:n])
	used := n
	for used < drainBytes && len(o.raws) < drainPackets {
		n, ok, err := o.from.TryRead(o.buf[used : used+tun.BufferSize])
		if err != nil || !ok {
			break
		}
		o.raws = append(o.raws, o.buf[used:used+n])
		used += n
	}
	o.now = o.engine.world.Clock().Mono
	return arrival{size: used, at: o.now, count: len(o.raws), flow: packetHash(o.raws[0])}, nil
}

func (o *outward) readOne(wait bool) (n int, err error) {
	if wait {
		return o.from.Read(o.buf[:tun.BufferSize])
	}
	n, ok, err := o.from.TryRead(o.buf[:tun.BufferSize])
	if !ok {
		n = 0
	}
	return n, err
}

func (o *outward) failed(err error) bool {
	o.failures++
	return o.engine.interfaceLost(err, o.failures)
}

func (o *outward) prepare() bool { return o.enc.Prepare(o.job, o.now, o.raws) }
func (o *outward) work()         { o.job.Seal() }
func (o *outward) finish()       { o.enc.Send(o.job) }

// inward is a carrier from a socket to the interface.
type inward struct {
	engine   *Engine
	dec      *dataplane.Decapsulator
	job      *dataplane.OpenJob
	from     udp.Receiver
	bs       []batch.Batch
	n        int // received
	depth    int
	now      clock.Time
	failures int
}

func (i *inward) read(wait bool) (a arrival, err error) {
	if wait {
		i.n, err = i.from.Recv(i.bs[:i.depth])
	} else {
		i.n, err = i.from.TryRecv(i.bs[:i.depth])
	}
	if err != nil || i.n == 0 {
		return a, err
	}
	i.failures = 0
	a.count, a.flow = i.n, addressHash(i.bs[0].Remote.Remote)
	for j := range i.bs[:i.n] {
		a.size += len(i.bs[j].Data)
	}
	if i.depth = deepReceive; a.size > i.n*longTrain {
		i.depth = 1
	}
	i.now = i.engine.world.Clock().Mono
	a.at = i.now
	a.size = max(a.size, 1) // an empty datagram is one, too
	return a, nil
}

func (i *inward) failed(err error) bool {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return true
	}
	i.failures++
	i.engine.world.Log.Debug("receive failed", "err", err)
	return !i.engine.pause(i.failures)
}

func (i *inward) prepare() bool { return i.dec.Prepare(i.job, i.now, i.bs[:i.n]) }
func (i *inward) work()         { i.job.Open() }
func (i *inward) finish()       { i.dec.Deliver(i.job) }
