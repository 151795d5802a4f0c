package engine

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/dataplane"
	"wgd/internal/lanes"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// tunReader reads the interface and sends what it reads, until the interface is gone.
func (e *Engine) tunReader() {
	q := outQueues{e}
	if limit := min(e.lanes.MaxQueues(), e.world.TUN.Caps().Queues); limit > 1 {
		e.lanes.RunQueues(lanes.Out, q, limit)
		return
	}
	e.lanes.Run(lanes.Out, q.Source(0))
}

// socketReader receives from the sockets of one address family and writes to the
// interface, until the sockets are closed.
func (e *Engine) socketReader(g udp.Group) {
	q := inQueues{e, g}
	if limit := e.lanes.MaxQueues(); limit > 1 && !g.Caps().OneSocket {
		e.lanes.RunQueues(lanes.In, q, limit)
		return
	}
	e.lanes.Run(lanes.In, q.Source(0))
}

// outHandler is the handler of batches from the interface to the sockets.
type outHandler struct {
	engine   *Engine
	from     tun.Queue
	enc      *dataplane.Encapsulator
	job      *dataplane.SealJob
	buf      []byte
	raws     [][]byte
	now      clock.Time
	failures failures
}

// Read reads one packet, which may be a large super-packet, and more as long as they
// are small.
func (o *outHandler) Read(wait bool) (lanes.BatchInfo, error) {
	o.raws = o.raws[:0]
	n, err := o.readOne(wait)
	if err != nil || n == 0 {
		return lanes.BatchInfo{}, err
	}
	o.failures.end()
	o.raws = append(o.raws, o.buf[:n])
	used := n
	for readsOn(len(o.raws), used, n) {
		var ok bool
		if n, ok, err = o.from.TryRead(o.buf[used : used+tun.BufferSize]); err != nil || !ok {
			break
		}
		o.raws = append(o.raws, o.buf[used:used+n])
		used += n
	}
	o.now = o.engine.world.Clock().Mono
	return lanes.BatchInfo{Bytes: used, At: o.now, Count: len(o.raws), Flow: packetHash(o.raws[0])}, nil
}

// readsOn reports whether a batch of so many frames and bytes is to have another one,
// after one of last bytes.
func readsOn(frames, bytes, last int) bool {
	if last <= shortFrame && frames < drainFrames {
		return bytes < maxDrain
	}
	return bytes < drainBytes && frames < drainPackets
}

// outBuffer is how long the buffer of an outHandler must be: of the last frame, only
// the reading tells the length.
const outBuffer = maxDrain + tun.BufferSize

func (o *outHandler) readOne(wait bool) (n int, err error) {
	if wait {
		return o.from.Read(o.buf[:tun.BufferSize])
	}
	n, ok, err := o.from.TryRead(o.buf[:tun.BufferSize])
	if !ok {
		n = 0
	}
	return n, err
}

func (o *outHandler) Failed(err error) bool {
	return o.engine.interfaceLost(err, o.failures.add())
}

func (o *outHandler) Prepare() bool { return o.enc.Prepare(o.job, o.now, o.raws) }
func (o *outHandler) Work()         { o.job.Seal() }
func (o *outHandler) Finish()       { o.enc.Send(o.job) }

// inHandler is the handler of batches from a socket to the interface.
type inHandler struct {
	engine   *Engine
	dec      *dataplane.Decapsulator
	job      *dataplane.OpenJob
	from     udp.Receiver
	admitter *admitter // the lane's
	bs       []batch.Batch
	n        int // received
	depth    int
	now      clock.Time
	failures failures
}

func (i *inHandler) Read(wait bool) (a lanes.BatchInfo, err error) {
	if i.n, err = i.receive(wait); err != nil || i.n == 0 {
		return a, err
	}
	i.failures.end()
	a.Count, a.Flow = i.n, addressHash(i.bs[0].Remote.Remote)
	for j := range i.bs[:i.n] {
		a.Bytes += len(i.bs[j].Data)
	}
	if i.depth = deepReceive; a.Bytes > i.n*longTrain {
		i.depth = 1
	}
	i.now = i.engine.world.Clock().Mono
	a.At = i.now
	a.Bytes = max(a.Bytes, 1) // a batch of empty datagrams is not empty
	return a, nil
}

// receive receives a batch. As long as there is none, it checks deferred handshake
// messages.
func (i *inHandler) receive(wait bool) (n int, err error) {
	for i.admitter.deferred.Waiting() > 0 {
		if n, err = i.from.TryRecv(i.bs[:i.depth]); n > 0 || err != nil {
			return n, err
		}
		i.admitter.check(checksPerLook)
		runtime.Gosched() // the lane does not yield before it has a batch
	}
	if wait {
		return i.from.Recv(i.bs[:i.depth])
	}
	return i.from.TryRecv(i.bs[:i.depth])
}

func (i *inHandler) Failed(err error) bool {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		if errors.As(err, new(udp.ConnEnded)) {
			i.engine.world.Log.Error(err.Error())
		}
		return true
	}
	i.engine.world.Log.Debug("receive failed", "err", err)
	return !i.engine.pause(i.failures.add())
}

func (i *inHandler) Prepare() bool {
	complete := i.dec.Prepare(i.job, i.now, i.bs[:i.n])
	i.admitter.check(checksPerBatch)
	return complete
}

func (i *inHandler) Work()   { i.job.Open() }
func (i *inHandler) Finish() { i.dec.Deliver(i.job) }

// failures counts the reads in a row that failed. While a handler pauses after one,
// the goroutine that changes the number of queues may read by it.
type failures struct{ n atomic.Int32 }

func (f *failures) add() int { return int(f.n.Add(1)) }

func (f *failures) end() {
	if f.n.Load() != 0 {
		f.n.Store(0)
	}
}
