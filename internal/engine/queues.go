package engine

import (
	"encoding/binary"
	"net/netip"

	"wgd/internal/batch"
	"wgd/internal/dataplane"
	"wgd/internal/lanes"
	"wgd/internal/packet"
	"wgd/internal/sys/pages"
	"wgd/internal/sys/udp"
)

// outQueues are the queues of the interface, as lanes need them.
type outQueues struct{ engine *Engine }

func (q outQueues) Resize(n int) error { return q.engine.world.TUN.SetQueues(n) }
func (q outQueues) SteerToFirst() bool { return q.engine.world.TUN.SteerToFirst() }
func (q outQueues) StayOpen() bool     { return true }
func (q outQueues) Capacity() int      { return q.engine.world.TUN.QueueLength() }

func (q outQueues) Source(i int) lanes.Source {
	e := q.engine
	from := e.world.TUN.Queue(i)
	enc := dataplane.NewEncapsulator(e.shared, e.world.TUN.NewWriter(), e.newSender())
	another := func() lanes.Handler {
		o := &outHandler{engine: e, from: from, enc: enc, job: enc.NewJob(), raws: make([][]byte, 0, drainPackets)}
		o.buf = pages.For(o, outBuffer)
		return o
	}
	return lanes.Source{NewHandler: another, Wait: from.Wait}
}

// inQueues are the sockets of an address family, as lanes need them.
type inQueues struct {
	engine *Engine
	group  udp.Group
}

func (q inQueues) Resize(n int) error { return q.group.SetSockets(n) }
func (q inQueues) SteerToFirst() bool { return q.group.SteerToFirst() }
func (q inQueues) StayOpen() bool     { return false }

// Capacity is how many of the smallest datagrams fit into the kernel's receive buffer,
// whose limit is twice what was granted, because it includes the kernel's structures.
func (q inQueues) Capacity() int { return 2*q.group.Caps().RecvBuffer/768 + 1 }

func (q inQueues) Source(i int) lanes.Source {
	e := q.engine
	from, admitter := q.group.Socket(i), e.newAdmitter()
	dec := dataplane.NewDecapsulator(e.shared, e.world.TUN.NewWriter(), admitter.receive)
	another := func() lanes.Handler {
		return &inHandler{
			engine: e, dec: dec, job: dec.NewJob(), from: from.NewReceiver(), admitter: admitter,
			bs: make([]batch.Batch, deepReceive), depth: 1,
		}
	}
	return lanes.Source{NewHandler: another, Wait: from.Wait}
}

// packetHash is a hash of the flow to which the packet in a frame belongs: of its
// addresses and ports.
func packetHash(frame []byte) uint32 {
	p := frame[min(packet.VirtioHeaderSize, len(frame)):]
	from, to := 12, 24
	if len(p) > 0 && p[0]>>4 == 6 {
		from, to = 8, 44
	}
	if len(p) < to {
		return 0
	}
	h := uint64(0)
	for p = p[from:to]; len(p) >= 4; p = p[4:] {
		h = mix(h, uint64(binary.NativeEndian.Uint32(p)))
	}
	return uint32(h >> 32)
}

// addressHash is a hash of the sender of a datagram.
func addressHash(a netip.AddrPort) uint32 {
	b := a.Addr().As16()
	h := mix(uint64(a.Port()), binary.NativeEndian.Uint64(b[:]))
	return uint32(mix(h, binary.NativeEndian.Uint64(b[8:])) >> 32)
}

func mix(h, v uint64) uint64 { return (h ^ v) * 0x9e3779b97f4a7c15 }
