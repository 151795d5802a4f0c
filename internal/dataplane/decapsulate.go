package dataplane

import (
	"net/netip"

	"wgd/internal/aead"
	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// Decapsulator carries datagrams in. One goroutine uses it at a time; each
// reader of a socket has its own.
//
// Data messages gather as long as they lie in one buffer and belong to one
// session; then they are opened in one call, where they lie. From there they
// are written to the interface: the virtio header takes the end of the message
// header, which nobody needs any more.
type Decapsulator struct {
	*Shared
	tun       TUN
	handshake func(from wire.Endpoint, msg []byte)

	now   clock.Time
	buf   []byte // in which the spans lie
	index uint32 // of their session
	spans [maxPackets]aead.Packet
	train [maxPackets]int32 // the batch that each came in
	count int

	reminder *reminder
	joined   packet.Coalescer
	routes   *allowedips.Table[*peer.Peer]
	answers  allowedips.Cache[*peer.Peer] // of routes
	opened   *index.Entry                 // see Open

	// The last answer of routes, which is the next one too in most cases.
	source netip.Addr
	holder *peer.Peer
}

// NewDecapsulator returns a Decapsulator that delivers by way of t. It gives each
// message of type 1 to 3, of exact length, to handshake, which must not keep msg.
func NewDecapsulator(s *Shared, t TUN, handshake func(from wire.Endpoint, msg []byte)) *Decapsulator {
	return &Decapsulator{Shared: s, tun: t, handshake: handshake, reminder: &reminder{}}
}

// Receive carries in the trains of one read from the socket, joining packets
// over the boundaries of trains. It decrypts in place.
func (d *Decapsulator) Receive(now clock.Time, bs []batch.Batch) {
	d.begin(now)
	for i := range bs {
		d.sort(bs, i)
	}
	d.open(bs)
	d.write(d.joined.Flush())
}

func (d *Decapsulator) begin(now clock.Time) {
	d.now = now
	d.joined.Offloads = packet.Offloads{}
	if d.Offloads != nil {
		d.joined.Offloads = d.Offloads()
	}
	d.routes = d.Routes.Load()
	d.holder = nil
}

// sort tells the messages of a train apart: handshakes go their way at once,
// data gathers.
func (d *Decapsulator) sort(bs []batch.Batch, i int) {
	b := &bs[i]
	buf, off := b.Buf, b.Off
	if buf == nil {
		buf, off = b.Data, 0
	}
	for j := range b.Count() {
		msg := b.At(j)
		kind, ok := wire.TypeOf(msg)
		switch {
		case !ok:
			d.Drops.Add(DropNotAMessage, 1)
		case kind != wire.TypeData:
			d.handshake(b.Remote, msg)
		default:
			to := wire.DataIndex(msg)
			if d.count == maxPackets || d.count > 0 && (to != d.index || &buf[0] != &d.buf[0]) {
				d.open(bs)
			}
			d.buf, d.index = buf, to
			d.gather(off, len(msg), i)
		}
		off += len(msg)
	}
}

func (d *Decapsulator) gather(off, size, train int) {
	d.spans[d.count] = aead.Packet{Off: int32(off), Len: int32(size)}
	d.train[d.count] = int32(train)
	d.count++
}

// open authenticates what has gathered, notes it, and delivers it.
func (d *Decapsulator) open(bs []batch.Batch) {
	if d.count == 0 {
		return
	}
	if entry := d.authenticate(); entry != nil {
		d.accept(entry, bs)
	}
	d.count = 0
}

// authenticate opens what has gathered where it lies; nil when there is no
// session for it.
func (d *Decapsulator) authenticate() *index.Entry {
	spans := d.spans[:d.count]
	entry := d.Index.Lookup(d.index)
	if entry == nil || entry.Keypair == nil {
		d.Drops.Add(DropNoSession, len(spans))
		return nil
	}
	if !entry.Keypair.Usable(d.now) { // A36
		d.Drops.Add(DropExpired, len(spans))
		return nil
	}
	d.Drops.Add(DropForged, entry.Keypair.Open(d.buf, spans))
	return entry
}

// accept notes and delivers what is authentic.
func (d *Decapsulator) accept(entry *index.Entry, bs []batch.Batch) {
	spans := d.spans[:d.count]
	// After authentication: a forger must not move the window (A38).
	d.Drops.Add(DropReplay, entry.Keypair.Accept(d.buf, spans))
	if d.note(entry, spans, bs) {
		d.deliver(entry.Peer, spans, bs)
	}
}

// note notes, once for all, that authentic and new messages came, and reports
// whether any did.
func (d *Decapsulator) note(entry *index.Entry, spans []aead.Packet, bs []batch.Batch) bool {
	last, size, data := -1, 0, false
	for i, s := range spans {
		if s.Len == 0 {
			continue
		}
		last = i
		size += int(s.Len)
		data = data || s.Len > wire.MinDataSize
	}
	if last < 0 {
		return false
	}
	p, k := entry.Peer, entry.Keypair
	// A51, B13: the peer is where its newest message came from.
	if from := bs[d.train[last]].Remote; p.Endpoint() != from {
		p.SetEndpoint(from)
	}
	p.CountReceived(size)
	// A40: a keepalive is no data, and needs no answer.
	if p.NoteReceived(d.now, data) {
		d.Notes.Wake(p)
	}
	sessions := p.Sessions()
	if sessions.Next == k {
		// A33, B44: after the replay check, or a replayed packet would do it.
		k.Confirm()
		d.Notes.Confirm(p, k)
	}
	d.rekey(p, sessions.Sending())
	return true
}

// rekey asks for a new session when the initiator receives and the one in use
// would not outlive an answer (§6.2).
func (d *Decapsulator) rekey(p *peer.Peer, k *session.Keypair) {
	if k != nil && k.Initiator && d.now.Sub(k.Created) >= p.Timing().RekeyOnReceive &&
		d.reminder.due(d.now, k) {
		d.Notes.Want(p)
	}
}

// deliver gives the inner packets to the interface.
func (d *Decapsulator) deliver(p *peer.Peer, spans []aead.Packet, bs []batch.Batch) {
	owned := false // whether p owns the source of the super-packet that grows
	for i, s := range spans {
		if s.Len <= wire.MinDataSize { // dropped already, or a keepalive (A40)
			continue
		}
		start := int(s.Off) + wire.DataHeaderSize
		inner := d.buf[start : int(s.Off+s.Len)-wire.TagSize]
		ecn := bs[d.train[i]].ECN
		// What continues it has the same source, and its congestion mark stays.
		if owned && packet.Unmarked(ecn) && d.joined.Continue(inner) {
			continue
		}
		n, ok := packet.Length(inner)
		if !ok { // A47
			d.Drops.Add(DropInnerPacket, 1)
			continue
		}
		inner = inner[:n] // without the padding
		if !d.owns(p, packet.Source(inner)) {
			d.Drops.Add(DropSource, 1)
			continue
		}
		d.combine(inner, ecn)
		d.write(d.joined.Add(d.buf[start-packet.VirtioHeaderSize : start+n]))
		owned = true
	}
}

// owns reports whether a belongs to p by the table of the whole interface
// (A49): p's own prefixes do not matter where a longer one is another's (B2).
func (d *Decapsulator) owns(p *peer.Peer, a netip.Addr) bool {
	if d.holder == nil || a != d.source {
		d.source = a
		d.holder, _ = d.answers.Lookup(d.routes, a)
		if a.Is4In6() && d.routes.Impersonates(a) {
			d.holder = nil
		}
	}
	return d.holder == p
}

// combine carries a mark of congestion from the outer header to the inner
// packet, and counts it where the packet cannot have it (A56).
func (d *Decapsulator) combine(inner []byte, outer byte) {
	before := packet.ECN(inner)
	after, lost := packet.CombineECN(before, outer)
	if after != before {
		packet.SetECN(inner, after)
	}
	if lost {
		d.Counters.Add(CountECNUnmarked, 1)
	}
}

// write gives the interface one packet or super-packet; each piece is one
// packet's.
func (d *Decapsulator) write(pieces [][]byte) {
	if pieces != nil && d.tun.Write(pieces) != nil {
		d.Drops.Add(DropInterface, len(pieces))
	}
}
