package dataplane

import (
	"net/netip"

	"wgd/internal/aead"
	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// A Decapsulator is the receive path of one socket. It holds the state that passes
// from one job to the next, and is shared by all goroutines that read from that
// socket. The state of a single job is in its OpenJob.
type Decapsulator struct {
	*Shared
	writer    *frameWriter // used by Deliver only
	handshake func(from wire.Endpoint, msg []byte)

	// Used by Deliver only, and so by one goroutine at a time.
	answers allowedips.Cache[*peer.Peer] // of Routes
	rekeys  rekeyLimiter
}

// NewDecapsulator returns a Decapsulator that delivers to t. It passes each message
// of type 1 to 3 and exact length to handshake, which must not keep msg.
func NewDecapsulator(s *Shared, t TUN, handshake func(from wire.Endpoint, msg []byte)) *Decapsulator {
	return &Decapsulator{Shared: s, writer: newFrameWriter(t), handshake: handshake}
}

// NewJob returns an OpenJob for one goroutine.
func (d *Decapsulator) NewJob() *OpenJob {
	return &OpenJob{shared: d.Shared, parts: session.NewParts(maxPackets)}
}

// Decapsulate calls Prepare, Open and Deliver. No other job of d may be in
// progress.
func (d *Decapsulator) Decapsulate(j *OpenJob, now clock.Time, bs []batch.Batch) {
	d.Prepare(j, now, bs)
	j.Open()
	d.Deliver(j)
}

// Prepare makes j a job for the trains of one read from the socket, which are
// decrypted in place and must not be changed until Deliver returns. Calls must be
// in the order of reading, and by one goroutine at a time. Prepare passes on
// handshake messages and sorts data by session.
//
// It reports whether j has taken all messages. If there are more than j holds,
// Deliver processes the rest. All jobs before j must then be delivered first, and
// no other job may be prepared until Deliver returns.
func (d *Decapsulator) Prepare(j *OpenJob, now clock.Time, bs []batch.Batch) (all bool) {
	j.now, j.bs, j.train, j.message = now, bs, 0, 0
	if j.captures = d.Captures.Load(); j.captures != nil {
		d.captureArrived(j)
	}
	return d.prepare(j)
}

func (d *Decapsulator) prepare(j *OpenJob) (all bool) {
	for ; j.train < len(j.bs) && d.sort(j, &j.bs[j.train]); j.train++ {
		j.message = 0
	}
	j.end()
	return j.train == len(j.bs)
}

// sort sorts the messages of a train, and reports whether j has taken all of
// them.
func (d *Decapsulator) sort(j *OpenJob, b *batch.Batch) bool {
	buf, off := b.Buf, b.Off
	if buf == nil {
		buf, off = b.Data, 0
	}
	for n := b.Count(); j.message < n; j.message++ {
		msg := b.At(j.message)
		kind, ok := wire.TypeOf(msg)
		switch {
		case !ok:
			d.Drops.Add(DropNotAMessage, 1)
		case kind != wire.TypeData:
			d.handshake(b.Remote, msg)
		case j.packets == maxPackets:
			return false
		default:
			if to := wire.DataIndex(msg); j.count == 0 || !j.sections[j.count-1].takes(buf, to) {
				j.begin(buf, to)
			}
			j.spans[j.packets] = aead.Packet{Off: int32(off + j.message*b.Stride), Len: int32(len(msg))}
			j.trains[j.packets] = int32(j.train)
			j.packets++
		}
	}
	return true
}

// Deliver accepts what j has opened, notes its arrival, and writes it to the
// interface. It joins packets of one flow, even from different trains. Calls must
// be in the order of Prepare, and by one goroutine at a time. If Prepare has not
// taken all messages, Deliver processes the rest as well.
func (d *Decapsulator) Deliver(j *OpenJob) {
	j.joined.Offloads = packet.Offloads{}
	if d.Offloads != nil {
		j.joined.Offloads = d.Offloads()
	}
	d.deliver(j)
	for j.train < len(j.bs) {
		d.prepare(j)
		j.Open()
		d.deliver(j)
	}
	d.write(j.joined.Flush())
	d.lost(d.writer.flush())
	j.bs = nil
}

// deliver delivers the sections of j and empties it.
func (d *Decapsulator) deliver(j *OpenJob) {
	routes := d.Routes.Load()
	j.received = 0
	for i := range j.sections[:j.count] {
		s := &j.sections[i]
		if s.entry == nil {
			continue
		}
		// After authentication: a forger must not move the window (A38).
		d.Drops.Add(DropReplay, s.entry.Keypair.Accept(s.buf, j.spans[s.first:s.last]))
		if d.note(j, s) {
			if j.captures.WantsInner(s.entry.Peer) {
				j.captureOpened(s)
			}
			d.unwrap(j, s, routes)
		}
	}
	d.Received.Add(j.received)
	j.empty()
}

// note notes the arrival of the authentic and new messages of a section, once for
// all of them. It reports whether there are any.
func (d *Decapsulator) note(j *OpenJob, s *openSection) bool {
	newest, size, data := -1, 0, false
	for i := s.first; i < s.last; i++ {
		n := j.spans[i].Len
		if n == 0 {
			continue
		}
		newest = i
		size += int(n)
		j.received++
		data = data || n > wire.MinDataSize
	}
	if newest < 0 {
		return false
	}
	p, k := s.entry.Peer, s.entry.Keypair
	// A51, B13: the endpoint of the peer is the source of its newest message.
	moved := p.Follow(j.now, j.bs[j.trains[newest]].Remote)
	p.CountReceived(size)
	// A40: a keepalive is not data, and needs no reply.
	if p.NoteReceived(j.now, data) || moved {
		d.Notes.Wake(p)
	}
	sessions := p.Sessions()
	if sessions.Next == k {
		// A33, B44: after the replay check, so that no replayed packet confirms k.
		k.Confirm()
		d.Notes.Confirm(p, k)
	}
	d.rekey(j.now, p, sessions.Sending())
	return true
}

// rekey requests a new session if we initiated the current one and it would expire
// before an answer to the packets received (§6.2).
func (d *Decapsulator) rekey(now clock.Time, p *peer.Peer, k *session.Keypair) {
	if k != nil && k.Initiator && now.Sub(k.Created) >= p.Timing().RekeyOnReceive && d.rekeys.allow(now, k) {
		d.Notes.Want(p)
	}
}

// unwrap passes the inner packets of a section to the interface.
func (d *Decapsulator) unwrap(j *OpenJob, s *openSection, routes *allowedips.Table[*peer.Peer]) {
	var source netip.Addr // of the last packet
	owns := false         // whether it is the peer's
	begun := false        // the super-packet in progress is the peer's
	p := s.entry.Peer
	at := p.Location()
	mss, probing, wishes, any := d.clampedTo(), at.Probing(), p.NeedsProbe(at, j.now), at.AnyProbes()
	var last netip.Addr // the last source that is not the peer's
	refused := 0        // packets that have one
	for i := s.first; i < s.last; i++ {
		span := j.spans[i]
		if span.Len <= wire.MinDataSize { // dropped already, or a keepalive (A40)
			continue
		}
		start := int(span.Off) + wire.DataHeaderSize
		inner := s.buf[start : int(span.Off+span.Len)-wire.TagSize]
		ecn := j.bs[j.trains[i]].ECN
		// A packet that continues it has the same source. Its ECN field is unchanged.
		if begun && packet.Unmarked(ecn) && j.joined.Continue(inner) {
			continue
		}
		n, ok := packet.Length(inner)
		if !ok { // A47
			d.Drops.Add(DropInnerPacket, 1)
			continue
		}
		inner = inner[:n] // without the padding
		if probing != nil {
			// Whatever its source is, it proves that the peer has received the probe.
			if a, ok := packet.AnswerTo(inner, probing.ID, probing.Token); ok {
				d.Notes.ProbeAnswered(p, a)
				continue
			}
		}
		if a := packet.Source(inner); a != source {
			source, owns = a, d.owns(p, a, routes)
		}
		if !owns {
			refused, last = refused+1, source
			continue
		}
		d.combine(inner, ecn)
		if mss > 0 && packet.IsSYN(inner) {
			limit := mssLimit(doubtful(p, at), carried(at, j.now), headersTo(at))
			packet.ClampMSS(inner, min(mss, limit), false)
		}
		if wishes && (any || packet.IsSYN(inner)) {
			wishes = false
			d.wish(j.now, p, packet.Destination(inner), packet.Source(inner))
		}
		// The virtio header takes the end of the message header, which is not needed
		// any more.
		d.write(j.joined.Add(s.buf[start-packet.VirtioHeaderSize : start+n]))
		begun = true
	}
	if refused > 0 {
		d.refuse(j.now, p, last, refused)
	}
}

// refuse counts n packets of p from inner addresses that are not its own, the last of
// them a.
func (d *Decapsulator) refuse(now clock.Time, p *peer.Peer, a netip.Addr, n int) {
	d.Drops.Add(DropSource, n)
	p.NoteRefusedSource(now, a, n)
	d.Spoofing.Note(p)
}

// owns reports whether a belongs to p by the routing table of the whole interface
// (A49): a longer prefix of another peer overrides those of p (B2).
func (d *Decapsulator) owns(p *peer.Peer, a netip.Addr, routes *allowedips.Table[*peer.Peer]) bool {
	holder, _ := d.answers.Lookup(routes, a)
	return holder == p && !(a.Is4In6() && routes.Impersonates(a))
}

// combine copies a congestion mark from the outer header to the inner packet, and
// counts it if the packet does not support ECN (A56).
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

// write writes one packet or super-packet to the interface. Each piece belongs to
// one packet.
func (d *Decapsulator) write(pieces [][]byte) {
	if pieces != nil {
		d.lost(d.writer.write(pieces))
	}
}

// lost counts n packets that the interface did not accept.
func (d *Decapsulator) lost(n int) {
	if n > 0 {
		d.Drops.Add(DropInterface, n)
	}
}
