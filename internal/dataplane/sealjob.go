package dataplane

import (
	"math"

	"wgd/internal/aead"
	"wgd/internal/batch"
	"wgd/internal/capture"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

const (
	// The most packets and bytes of a job. The bytes suffice for the longest
	// datagram, and for a whole TCP super-packet with headers and tags.
	maxPackets = 128
	maxBytes   = 128 << 10

	overhead = wire.MinDataSize // header and tag around an inner packet
	padding  = 16
)

// A SealJob is one batch on the send path. Its packets lie in one buffer, in which
// they are sealed and from which they are sent. A goroutine has one SealJob and
// reuses it for every batch.
type SealJob struct {
	now    clock.Time
	mtu    int
	mss    int // packets of new TCP connections are to be no longer than this; 0: not limited
	frames [][]byte
	next   int  // index of the first frame that is not taken yet
	split  bool // some packets of that frame are taken

	buf      []byte // datagrams back to back
	end      extent // of what is laid out
	spans    [maxPackets]aead.Packet
	trains   [maxPackets]train
	pieces   [maxPackets + 1]piece
	sections [maxPackets + 1]sealSection
	count    int            // of sections; the one after them is being laid out
	parts    *session.Parts // of the sections

	// Why not all frames are taken, unless j is full.
	stage *peer.Peer // the next frame has to be staged for it
	flush *peer.Peer // what is staged for it has to be sent first

	captures *capture.Set // nil: nobody captures

	wanted *peer.Peer // the last one for which Want was posted
	sent   uint64     // datagrams handed to the socket so far

	// The trains as UDP sends them, and what became of them. They are here so that they
	// need not be allocated.
	out  [maxPackets]batch.Batch
	errs [maxPackets]error
}

// An extent is how far the parts of a SealJob are filled.
type extent struct{ bytes, packets, trains, pieces int }

// A sealSection is a run of packets to one peer with consecutive counters.
type sealSection struct {
	peer       *peer.Peer
	key        *session.Keypair // nil: there is no session
	endpoint   wire.Endpoint
	headers    int    // of its datagrams, outside
	limit      int    // maximum length of an inner packet
	fit        int    // of one that the path carries without fragments, as far as is known
	first      uint64 // counter
	start, end extent
	sealed     bool

	dontFragment bool // the datagrams (A46)
	urgent       bool // they are never dropped in favour of data
	probe        bool // a search for the MTU of the path may begin
	probing      bool // this is a probe of one
	any          bool // any packet is a reason for that
}

// A train is what UDP sends as one batch: datagrams of equal length and headers,
// of which the last may be shorter.
type train struct {
	off, len, stride, count int32
	head                    header
}

// A header is the part of the outer headers that depends on the inner packets.
type header struct {
	ecn byte // A56: copied out, DSCP is not
	ttl byte // 0: usualTTL; see nesting
}

// A piece is the packets of one frame. Seal writes them to the spans.
type piece struct {
	segments    packet.Segments
	first, last int32 // spans, the last not included

	captured []byte // its frame, if somebody captures; nil: it was captured already
}

// newSealJob returns a SealJob whose buffer comes from buffer, or from Go's heap if
// that is nil.
func newSealJob(buffer func(owner *SealJob, n int) []byte) *SealJob {
	j := &SealJob{parts: session.NewParts(maxPackets)}
	if buffer == nil {
		j.buf = make([]byte, maxBytes)
	} else {
		j.buf = buffer(j, maxBytes)
	}
	return j
}

// reset makes j a job for frames.
func (j *SealJob) reset(now clock.Time, frames [][]byte, s *Shared) {
	j.now, j.frames, j.next, j.wanted = now, frames, 0, nil
	j.mtu, j.mss = int(s.MTU.Load()), s.clampedTo()
	j.captures = s.Captures.Load()
}

// current returns the section that is being laid out.
func (j *SealJob) current() *sealSection { return &j.sections[j.count] }

// begin begins a section for p, which has the location at. It reports whether p has
// a session.
func (j *SealJob) begin(p *peer.Peer, at *peer.Location) bool {
	s := j.current()
	s.peer, s.key, s.endpoint = p, usable(p, j.now), at.Endpoint()
	s.headers = headersTo(at)
	s.limit, s.dontFragment, s.urgent, s.probing = batch.MaxDatagram4-overhead, false, false, false
	if s.headers == batch.Headers6 {
		s.limit = batch.MaxDatagram6 - overhead
	}
	// A46: datagrams that are routed into another tunnel are not fragmented.
	if r := at.LastRoute(); r != nil && r.Tunnel {
		s.dontFragment = true
		if r.MTU > 0 {
			s.limit = min(s.limit, max(r.MTU-s.headers-overhead, 0))
		}
	}
	s.fit = min(s.limit, carried(at, j.now))
	s.probe = s.key != nil && p.NeedsProbe(at, j.now)
	s.any = s.probe && at.AnyProbes()
	s.start = j.end
	return s.key != nil
}

// carried returns the maximum length of an inner packet whose datagram the path to at
// carries without fragments; math.MaxInt if nothing is known about it.
func carried(at *peer.Location, now clock.Time) int {
	mtu, _ := at.PathMTU(now)
	if mtu == 0 {
		return math.MaxInt
	}
	return max(mtu-headersTo(at)-overhead, 0)
}

// headersTo returns the length of the headers of datagrams to at.
func headersTo(at *peer.Location) int {
	if at.Received().Remote.Addr().Is6() {
		return batch.Headers6
	}
	return batch.Headers4
}

// unpadded returns how long an inner packet may be so that it has at most n bytes after
// padding. The other end of a TCP connection pads what it sends up to its own MTU: it does
// not know the path.
func unpadded(n int) int { return n &^ (padding - 1) }

// usable returns the session on which p's packets may be sent now, or nil (A36,
// A37).
func usable(p *peer.Peer, now clock.Time) *session.Keypair {
	k := p.Sessions().Sending()
	if k == nil || !k.Usable(now) || k.Sent() >= session.RejectAfterMessages {
		return nil
	}
	return k
}

// left returns how many packets of a frame j has not taken yet; 1 if the frame is
// malformed.
func (j *SealJob) left(frame []byte) int {
	s := &j.pieces[j.end.pieces].segments
	if !j.split && !s.Reset(frame) {
		return 1
	}
	return s.Remaining()
}

// empty resets j for more packets, after all of its sections were sent.
func (j *SealJob) empty() {
	if j.split {
		j.pieces[0].segments = j.pieces[j.end.pieces-1].segments
	}
	for i := range j.sections[:j.count+1] { // peers and keys are not kept alive
		j.sections[i].peer, j.sections[i].key = nil, nil
	}
	j.count, j.end = 0, extent{}
}

// layOut adds the remaining packets of the next piece to the current section, as
// far as there is space. It reports whether all of them fit.
func (j *SealJob) layOut(head header) (all bool) {
	p := &j.pieces[j.end.pieces]
	s := &p.segments
	first, left, run := j.end.packets, s.Remaining(), s.Run()
	fit := j.current().fit
	count := j.put(j.padded(s.Next(), fit), run, head)
	if count == run && run < left {
		count += j.put(j.padded(s.Last(), fit), 1, head)
	}
	if count > 0 {
		p.first, p.last = int32(first), int32(first+count)
		j.end.pieces++
	}
	j.split = 0 < count && count < left
	return count == left
}

// put reserves space for inner packets that are n bytes long with padding: count of them,
// or as many as fit. It returns their number.
func (j *SealJob) put(n, count int, head header) int {
	to := j.current()
	size, at, from := n+overhead, j.end.bytes, j.end.packets
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

// padded returns the length of an inner packet of n bytes after padding: the next
// multiple of 16, but at most the MTU of the interface, if it is not 0, and at most
// limit (A45), so that padding alone makes no fragments.
func (j *SealJob) padded(n, limit int) int {
	if j.mtu > 0 {
		limit = min(limit, j.mtu)
	}
	return max(n, min((n+padding-1)&^(padding-1), limit))
}

// takes reports whether count datagrams may be appended: all of the same length as
// the others, or a single shorter one. After a shorter one, len is not a multiple
// of stride, and nothing may follow.
func (t *train) takes(size, count int, head header) bool {
	stride := int(t.stride)
	return (size == stride || size < stride && count == 1) && t.head == head && t.len == t.count*t.stride
}

// Seal writes the packets to their spans and encrypts them in place, those of all
// sections in one call, so that packets to several peers are processed together. Any
// goroutine may call it, at any time between Prepare and Send.
func (j *SealJob) Seal() {
	for i := range j.pieces[:j.end.pieces] {
		j.write(&j.pieces[i])
	}
	sections := j.sections[:j.count]
	if len(sections) == 1 { // as in most jobs
		s := &sections[0]
		s.sealed = s.key.Seal(j.buf, j.spans[s.start.packets:s.end.packets], s.first)
		return
	}
	for i := range sections {
		s := &sections[i]
		j.parts.Add(s.key, j.buf, j.spans[s.start.packets:s.end.packets], s.first)
	}
	for i, sealed := range j.parts.Seal() {
		sections[i].sealed = sealed
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
