package dataplane

import (
	"errors"

	"wgd/internal/aead"
	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

const (
	// What is sealed and sent at once is at most so many packets and bytes. The
	// bytes hold the longest datagram, and a whole super-packet as TCP makes
	// them, with what is put around its segments.
	maxPackets = 128
	maxBytes   = 128 << 10

	overhead = wire.MinDataSize // header and tag around an inner packet
	padding  = 16
)

// Encapsulator carries packets out. One goroutine uses it at a time; each
// reader of an interface has its own, and so has whoever calls Flush.
//
// Packets gather in one buffer as long as they go to the same peer: each is
// segmented to the place where it is sealed and from which it is sent.
type Encapsulator struct {
	*Shared
	*recall
	tun     TUN
	udp     UDP
	answers allowedips.Cache[*peer.Peer] // of Routes

	buf     []byte // datagrams back to back
	used    int
	spans   [maxPackets]aead.Packet
	count   int
	data    bool // more than a keepalive is among them
	trains  [maxPackets]train
	trained int // trains in use

	to  destination
	now clock.Time
	mtu int

	segments packet.Segments
	out      batch.Batch // here, so that it need not be allocated
	errBuf   [packet.MaxErrorFrame]byte
	errOut   [1][]byte

	sent uint64 // datagrams handed to the socket so far

	planned planned // see Plan
}

// recall is what is remembered from one batch to the next.
type recall struct {
	loop       loop
	complaints bucket
	reminder   reminder
}

// destination is the peer to whom the packets in the buffer go.
type destination struct {
	peer     *peer.Peer
	key      *session.Keypair // nil: there is no session
	endpoint wire.Endpoint
	limit    int  // longest inner packet that a datagram carries
	wanted   bool // core was told that a session is missing
}

// train is what one Send takes: datagrams of equal length and headers, the last
// maybe shorter.
type train struct {
	off, len, stride, count int32
	head                    header
}

// header is what the inner packets say about the outer headers.
type header struct {
	ecn byte // A56: copied out, DSCP is not
	ttl byte // 0: the usual one; see nesting
}

// NewEncapsulator returns an Encapsulator with its buffers. It sends by way of u;
// t is for errors about packets that cannot be sent.
func NewEncapsulator(s *Shared, t TUN, u UDP) *Encapsulator {
	e := &Encapsulator{Shared: s, recall: &recall{}, tun: t, udp: u}
	if s.Buffer == nil {
		e.buf = make([]byte, maxBytes)
	} else {
		e.buf = s.Buffer(e, maxBytes)
	}
	return e
}

// Encapsulate carries frames (see package packet) out in their order. It does
// not keep them.
func (e *Encapsulator) Encapsulate(now clock.Time, frames [][]byte) {
	e.begin(now)
	routes := e.Routes.Load()
	for _, frame := range frames {
		if len(frame) < packet.VirtioHeaderSize || !packet.IsIP(frame[packet.VirtioHeaderSize:]) {
			e.Drops.Add(DropNotIP, 1)
			continue
		}
		p, ok := e.answers.Lookup(routes, packet.Destination(frame[packet.VirtioHeaderSize:]))
		if !ok {
			e.unreachable(frame, DropNoPeer)
			continue
		}
		e.address(p)
		e.carry(frame)
	}
	e.end()
}

// Flush sends what is staged for p, if it has a session, and reports whether
// anything was sent.
func (e *Encapsulator) Flush(now clock.Time, p *peer.Peer) bool {
	before := e.sent
	e.begin(now)
	e.address(p)
	e.end()
	return e.sent != before
}

// Keepalive sends an empty message on p's session (A40), or what is staged, and
// reports whether anything was sent. Without a session it posts Want.
func (e *Encapsulator) Keepalive(now clock.Time, p *peer.Peer) bool {
	before := e.sent
	e.begin(now)
	e.address(p)
	if e.to.key == nil {
		e.want()
	} else if e.sent == before && e.to.endpoint.IsValid() {
		e.place(0, 1, header{})
		e.send()
	}
	e.end()
	return e.sent != before
}

func (e *Encapsulator) begin(now clock.Time) {
	e.now = now
	e.mtu = int(e.MTU.Load())
}

func (e *Encapsulator) end() {
	e.send()
	e.to = destination{}
}

// address makes p the one to whom packets go from here on.
func (e *Encapsulator) address(p *peer.Peer) {
	if e.to.peer == p {
		return
	}
	e.send()
	e.aim(p)
	if e.to.key != nil && p.HasStaged() {
		e.flush()
	}
}

// aim looks up what there is to know of p as a destination.
func (e *Encapsulator) aim(p *peer.Peer) {
	e.to = destination{peer: p, key: e.session(p), endpoint: p.Endpoint(), limit: batch.MaxDatagram4 - overhead}
	if e.to.endpoint.Remote.Addr().Is6() {
		e.to.limit = batch.MaxDatagram6 - overhead
	}
}

// session is what may be sent on now; nil when there is none (A36, A37).
func (e *Encapsulator) session(p *peer.Peer) *session.Keypair {
	k := p.Sessions().Sending()
	if k == nil || !k.Usable(e.now) || k.Sent() >= session.RejectAfterMessages {
		return nil
	}
	return k
}

// carry takes one frame to the destination: into the buffer, or to those that
// wait for a session.
func (e *Encapsulator) carry(frame []byte) {
	if !e.segments.Reset(frame) {
		e.Drops.Add(DropMalformed, 1)
		return
	}
	if !e.to.endpoint.IsValid() {
		e.unreachable(frame, DropNoEndpoint)
		return
	}
	p := frame[packet.VirtioHeaderSize:]
	ttl, loop := e.nesting(p)
	if loop {
		e.Drops.Add(DropLoop, e.segments.Count())
		return
	}
	if e.to.key == nil {
		e.stage(frame)
		return
	}
	e.gather(p, header{packet.ECN(p), ttl})
}

// gather puts the packets that the frame of p stands for, at which e.segments
// is, into the buffer, and sends it whenever it is full.
func (e *Encapsulator) gather(p []byte, head header) {
	for n := e.segments.Next(); n > 0; n = e.segments.Next() {
		if n > e.to.limit {
			e.tooBig(p)
			return
		}
		if e.to.key == nil {
			e.Drops.Add(DropSessionEnded, e.segments.Left())
			return
		}
		count := e.fitting(n, e.segments.Run())
		if count == 0 {
			e.send()
			continue
		}
		inner, stride := e.place(n, count, head)
		e.segments.PutRun(inner, stride, count)
	}
}

// fitting is how many of count inner packets of n bytes fit into the buffer.
func (e *Encapsulator) fitting(n, count int) int {
	size, free := e.padded(n)+overhead, len(e.buf)-e.used
	count = min(count, maxPackets-e.count)
	if count*size <= free {
		return count
	}
	return free / size
}

// place makes room in the buffer for count inner packets of n bytes, with their
// padding zeroed. It returns the buffer from where the first belongs, and how
// far behind each the next one is.
func (e *Encapsulator) place(n, count int, head header) (inner []byte, stride int) {
	padded, used := e.padded(n), e.used
	stride = padded + overhead
	e.couple(int32(used), int32(stride), int32(count), head)
	spans := e.spans[e.count:][:count]
	for i := range spans {
		spans[i] = aead.Packet{Off: int32(used + i*stride), Len: int32(stride)}
	}
	inner = e.buf[used+wire.DataHeaderSize:]
	if n < padded {
		for i := range count {
			clear(inner[i*stride:][n:padded])
		}
	}
	e.count += count
	e.used += count * stride
	e.data = e.data || n > 0
	return inner, stride
}

// padded is the length of an inner packet of n bytes with zeros behind it up to
// a multiple of 16, but never past the interface's MTU, nor past what a datagram
// carries (A45). An MTU of 0 is none.
func (e *Encapsulator) padded(n int) int {
	most := e.to.limit
	if e.mtu > 0 {
		most = min(most, e.mtu)
	}
	return max(n, min((n+padding-1)&^(padding-1), most))
}

// couple adds count datagrams of that size to the last train, or begins another
// one with them.
func (e *Encapsulator) couple(off, size, count int32, head header) {
	if e.trained > 0 {
		t := &e.trains[e.trained-1]
		// After a shorter one, which is the last, len is no multiple of stride.
		if (size == t.stride || size < t.stride && count == 1) && t.head == head && t.len == t.count*t.stride {
			t.len += size * count
			t.count += count
			return
		}
	}
	e.trains[e.trained] = train{off: off, len: size * count, stride: size, count: count, head: head}
	e.trained++
}

// send seals what is in the buffer and sends it.
func (e *Encapsulator) send() {
	if e.count == 0 {
		return
	}
	first, ok := e.to.key.Reserve(e.count)
	e.dispatch(ok && e.to.key.Seal(e.buf, e.spans[:e.count], first))
}

// dispatch sends what is in the buffer, unless it could not be sealed.
func (e *Encapsulator) dispatch(sealed bool) {
	if !sealed {
		// A37, or erased while packets gathered.
		e.Drops.Add(DropSessionEnded, e.count)
		e.to.key = nil
		e.want()
	} else {
		// A40, B46: timers advance whatever the socket says.
		if e.to.peer.NoteSent(e.now, e.data) {
			e.Notes.Wake(e.to.peer)
		}
		for i := range e.trains[:e.trained] {
			e.sendTrain(&e.trains[i])
		}
		e.rekey()
	}
	e.used, e.count, e.trained, e.data = 0, 0, 0, false
}

func (e *Encapsulator) sendTrain(t *train) {
	p := e.to.peer
	e.out = batch.Batch{
		Data:   e.buf[t.off : t.off+t.len],
		Stride: int(t.stride),
		Remote: e.to.endpoint,
		ECN:    t.head.ecn,
		TTL:    t.head.ttl,
	}
	if !e.data {
		e.out.Class = batch.Control
	}
	err := e.udp.Send(&e.out)
	if errors.Is(err, batch.ErrSourceGone) {
		p.ForgetSource(e.to.endpoint)
		e.to.endpoint = e.to.endpoint.Sourceless()
	}
	if !batch.Sent(err) {
		e.Drops.Add(NotSent(err), int(t.count))
		return
	}
	e.sent += uint64(t.count)
	p.CountSent(int(t.len))
}

// rekey asks for a new session where it is time for one (§6.2): the initiator
// when the key is old, either side when it has been used often.
func (e *Encapsulator) rekey() {
	k, timing := e.to.key, e.to.peer.Timing()
	old := k.Initiator && e.now.Sub(k.Created) >= timing.RekeyAfterTime
	if !old && k.Sent() < timing.RekeyAfterMessages {
		return
	}
	if e.reminder.due(e.now, k) {
		e.Notes.Want(e.to.peer)
	}
}

// want tells core, once for a destination, that there is no session.
func (e *Encapsulator) want() {
	if !e.to.wanted {
		e.to.wanted = true
		e.Notes.Want(e.to.peer)
	}
}

// stage keeps the frame, at which e.segments is, until there is a session (A42).
func (e *Encapsulator) stage(frame []byte) {
	p := e.to.peer
	e.Drops.Add(DropStaged, p.Stage(frame, e.segments.Count()))
	e.want()
	// Core may have published a session, and flushed, just before this frame
	// was staged; nobody else is going to look.
	if e.to.key = e.session(p); e.to.key != nil {
		e.flush()
	}
}

// flush sends what is staged for the destination, which has a session. Each
// frame is sent before the next is taken: as long as one is on its way, others
// see that packets are staged and wait their turn (A43, B39).
func (e *Encapsulator) flush() {
	e.to.peer.Flush(func(frame []byte) bool {
		if e.to.key == nil {
			return false
		}
		e.carry(frame)
		e.send()
		return true
	})
}

// tooBig answers a packet that no datagram carries (A46).
func (e *Encapsulator) tooBig(p []byte) {
	e.Drops.Add(DropTooBig, e.segments.Left())
	e.complain(p, packet.TooBig, e.to.limit)
}

// unreachable answers a frame for which there is no peer, or a peer with no
// address (A48).
func (e *Encapsulator) unreachable(frame []byte, reason Drop) {
	n := 1
	if e.segments.Reset(frame) {
		n = e.segments.Count()
	}
	e.Drops.Add(reason, n)
	e.complain(frame[packet.VirtioHeaderSize:], packet.Unreachable, 0)
}

// complain writes an ICMP error about p to the interface.
func (e *Encapsulator) complain(p []byte, problem packet.Problem, mtu int) {
	n := packet.PutError(e.errBuf[:], p, problem, mtu)
	if n == 0 || !e.complaints.take(e.now) {
		return
	}
	e.errOut[0] = e.errBuf[:n]
	if e.tun.Write(e.errOut[:]) != nil {
		e.Drops.Add(DropInterface, 1)
	}
}
