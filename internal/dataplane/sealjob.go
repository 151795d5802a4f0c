package dataplane

import (
	"wgd/internal/aead"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

const (
	// A job has at most this many packets and bytes. The bytes hold the longest
	// datagram, and a whole super-packet as TCP makes them, with what is put
	// around its segments.
	maxPackets = 128
	maxBytes   = 128 << 10

	overhead = wire.MinDataSize // header and tag around an inner packet
	padding  = 16
)

// SealJob is one batch on its way out. Its packets lie in one buffer, in which
// they are sealed and from which they are sent. A goroutine has one SealJob and
// uses it again and again.
type SealJob struct {
	now    clock.Time
	mtu    int
	frames [][]byte
	next   int  // index of the first frame that is not taken
	split  bool // some packets of that frame are taken

	buf      []byte // datagrams back to back
	end      extent // of what is laid out
	spans    [maxPackets]aead.Packet
	trains   [maxPackets]train
	pieces   [maxPackets + 1]piece
	sections [maxPackets + 1]sealSection
	count    int // of sections; the one after them is being laid out

	// Why not all frames are taken, unless it is for lack of room.
	stage *peer.Peer // the next frame has to be staged for it
	flush *peer.Peer // what is staged for it has to be sent first

	wanted *peer.Peer  // for whom core was told last that a session is missing
	out    batch.Batch // here, so that it need not be allocated
	sent   uint64      // datagrams handed to the socket so far
}

// extent is how far the parts of a SealJob are filled.
type extent struct{ bytes, packets, trains, pieces int }

// sealSection is a run of packets to one peer with consecutive counters.
type sealSection struct {
	peer       *peer.Peer
	key        *session.Keypair // nil: there is no session
	endpoint   wire.Endpoint
	limit      int    // bytes of the longest inner packet that a datagram carries
	first      uint64 // counter
	start, end extent
	sealed     bool

	dontFragment bool // the datagrams (A46)
}

// train is what one call of UDP.Send takes: datagrams of equal length and headers,
// the last maybe shorter.
type train struct {
	off, len, stride, count int32
	head                    header
}

// header is what the inner packets say about the outer headers.
type header struct {
	ecn byte // A56: copied out, DSCP is not
	ttl byte // 0: the usual one; see nesting
}

// piece is the packets of one frame. Seal writes them to the spans.
type piece struct {
	segments    packet.Segments
	first, last int32 // spans, the last not included
}

// newSealJob returns a SealJob with a buffer, which comes from buffer, or from
// Go's heap where that is nil.
func newSealJob(buffer func(owner *SealJob, n int) []byte) *SealJob {
	j := &SealJob{}
	if buffer == nil {
		j.buf = make([]byte, maxBytes)
	} else {
		j.buf = buffer(j, maxBytes)
	}
	return j
}

// reset makes j a job for frames.
func (j *SealJob) reset(now clock.Time, frames [][]byte, mtu int) {
	j.now, j.frames, j.next, j.mtu, j.wanted = now, frames, 0, mtu, nil
}

// current is the section that is being laid out.
func (j *SealJob) current() *sealSection { return &j.sections[j.count] }

// begin begins a section for p, whose Location is at, and reports whether p has a
// session.
func (j *SealJob) begin(p *peer.Peer, at *peer.Location) bool {
	s := j.current()
	s.peer, s.key, s.endpoint = p, usable(p, j.now), at.Endpoint()
	headers := batch.Headers4
	s.limit, s.dontFragment = batch.MaxDatagram4-overhead, false
	if s.endpoint.Remote.Addr().Is6() {
		s.limit, headers = batch.MaxDatagram6-overhead, batch.Headers6
	}
	// A46: nothing is fragmented that is routed into another tunnel.
	if r := at.Route(); r != nil && r.Tunnel {
		s.dontFragment = true
		if r.MTU > 0 {
			s.limit = min(s.limit, max(r.MTU-headers-overhead, 0))
		}
	}
	s.start = j.end
	return s.key != nil
}

// usable is p's session that may be sent on now; nil when there is none (A36,
// A37).
func usable(p *peer.Peer, now clock.Time) *session.Keypair {
	k := p.Sessions().Sending()
	if k == nil || !k.Usable(now) || k.Sent() >= session.RejectAfterMessages {
		return nil
	}
	return k
}

// left is how many packets of a frame j has not taken; 1 if it is malformed.
func (j *SealJob) left(frame []byte) int {
	s := &j.pieces[j.end.pieces].segments
	if !j.split && !s.Reset(frame) {
		return 1
	}
	return s.Remaining()
}

// empty makes room for more, when all of j is sent.
func (j *SealJob) empty() {
	if j.split {
		j.pieces[0].segments = j.pieces[j.end.pieces-1].segments
	}
	for i := range j.sections[:j.count+1] { // peers and keys are not kept alive
		j.sections[i].peer, j.sections[i].key = nil, nil
	}
	j.count, j.end = 0, extent{}
}

// layOut takes up the packets to which the next piece's Segments come, as far as
// there is room, for the section that is being laid out. It reports whether there
// was enough.
func (j *SealJob) layOut(head header) (all bool) {
	p := &j.pieces[j.end.pieces]
	s := &p.segments
	first, left, run := j.end.packets, s.Remaining(), s.Run()
	count := j.put(s.Next(), run, head)
	if count == run && run < left {
		count += j.put(s.Last(), 1, head)
	}
	if count > 0 {
		p.first, p.last = int32(first), int32(first+count)
		j.end.pieces++
	}
	j.split = 0 < count && count < left
	return count == left
}

// put makes room for inner packets of n bytes, count of them or as many as fit,
// and returns how many that is.
func (j *SealJob) put(n, count int, head header) int {
	to := j.current()
	size, at, from := j.padded(n, to.limit)+overhead, j.end.bytes, j.end.packets
	count = min(count, maxPackets-from)
	if free := len(j.buf) - at; count*size > free {
		count = free / size
	}
	if count == 0 {
		return 0
	}
	t := &j.trains[max(j.end.trains-1, 0)]
	if j.end.trains == to.start.trains || !t.takes(size, count, head) {
		t = &j.trains[j.end.trains]
		*t = train{off: int32(at), stride: int32(size), head: head}
		j.end.trains++
	}
	t.len += int32(count * size)
	t.count += int32(count)
	spans := j.spans[from:][:count]
	for i := range spans {
		spans[i] = aead.Packet{Off: int32(at + i*size), Len: int32(size)}
	}
	j.end.bytes += count * size
	j.end.packets += count
	return count
}

// padded is the length of an inner packet of n bytes with zeros behind it up to
// a multiple of 16, but never past the interface's MTU, nor past what a datagram
// carries (A45). An MTU of 0 is none.
func (j *SealJob) padded(n, limit int) int {
	if j.mtu > 0 {
		limit = min(limit, j.mtu)
	}
	return max(n, min((n+padding-1)&^(padding-1), limit))
}

// takes reports whether count more datagrams may follow: they are as long as the
// others, or one is shorter. After a shorter one, which is the last, len is no
// multiple of stride.
func (t *train) takes(size, count int, head header) bool {
	stride := int(t.stride)
	return (size == stride || size < stride && count == 1) && t.head == head && t.len == t.count*t.stride
}

// Seal writes the packets to their places and seals them there. It needs no
// order: any goroutine may do it at any time between Prepare and Send.
func (j *SealJob) Seal() {
	for i := range j.sections[:j.count] {
		s := &j.sections[i]
		for p := s.start.pieces; p < s.end.pieces; p++ {
			j.write(&j.pieces[p])
		}
		s.sealed = s.key.Seal(j.buf, j.spans[s.start.packets:s.end.packets], s.first)
	}
}

// write writes the packets of a piece to their spans, and zeroes the padding.
func (j *SealJob) write(p *piece) {
	for i, last := int(p.first), int(p.last); i < last; {
		n, count := p.segments.Next(), 1
		if last-i > 1 {
			count = min(p.segments.Run(), last-i)
		}
		stride := int(j.spans[i].Len)
		inner := j.buf[j.spans[i].Off+wire.DataHeaderSize:]
		if padded := stride - overhead; n < padded {
			for k := range count {
				clear(inner[k*stride:][n:padded])
			}
		}
		p.segments.PutRun(inner, stride, count)
		i += count
	}
}
