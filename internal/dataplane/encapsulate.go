package dataplane

import (
	"errors"
	"net/netip"

	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/unknown"
)

// An Encapsulator is the send path of one queue of an interface. It holds the state
// that passes from one job to the next, and is shared by all goroutines that read
// from that queue. The state of a single job is in its SealJob.
type Encapsulator struct {
	*Shared
	tun TUN
	udp UDP

	// Used by Prepare, and so by one goroutine at a time. Send uses them only while
	// no job can be prepared.
	answers  allowedips.Cache[*peer.Peer] // of Routes
	loop     loop
	routed   func(netip.Addr) bool // whether a peer has the address in Routes
	errors   clock.Bucket          // limits ICMP errors
	errFrame [packet.MaxErrorFrame]byte
	errWrite [1][]byte

	// Used by Send only, and so by one goroutine at a time.
	rekeys rekeyLimiter
}

// NewEncapsulator returns an Encapsulator that sends on u. For packets that cannot
// be sent it writes ICMP errors to t.
func NewEncapsulator(s *Shared, t TUN, u UDP) *Encapsulator {
	return &Encapsulator{Shared: s, tun: t, udp: u, routed: s.hasPeer}
}

// NewJob returns a SealJob for one goroutine.
func (e *Encapsulator) NewJob() *SealJob { return newSealJob(e.Buffer) }

// Encapsulate calls Prepare, Seal and Send. No other job of e may be in progress.
func (e *Encapsulator) Encapsulate(j *SealJob, now clock.Time, frames [][]byte) {
	e.Prepare(j, now, frames)
	j.Seal()
	e.Send(j)
}

// Prepare makes j a job for frames (see package packet), which must not be changed
// until Send returns. Calls must be in the order of reading, and by one goroutine
// at a time. Prepare looks up the peers, drops packets that cannot be sent and
// answers them with ICMP errors, lays out the rest, and reserves counters.
//
// It reports whether j has taken all packets. If there are more than j holds, or
// some have no session yet or must wait until staged packets are sent, Send
// processes the rest. All jobs before j must then be sent first, and no other job
// may be prepared until Send returns.
func (e *Encapsulator) Prepare(j *SealJob, now clock.Time, frames [][]byte) (all bool) {
	j.reset(now, frames, e.Shared)
	e.prepare(j)
	return j.next == len(j.frames)
}

func (e *Encapsulator) prepare(j *SealJob) {
	routes := e.Routes.Load()
	for ; j.next < len(j.frames); j.next++ {
		frame := j.frames[j.next]
		if len(frame) < packet.VirtioHeaderSize || !packet.IsIP(frame[packet.VirtioHeaderSize:]) {
			e.Drops.Add(DropNotIP, 1)
			continue
		}
		p, ok := e.answers.Lookup(routes, packet.Destination(frame[packet.VirtioHeaderSize:]))
		if !ok {
			switch e.park(j, frame) {
			case unknown.Parked:
				continue
			case unknown.Routed:
				routes = e.Routes.Load()
				j.next--
				continue
			}
			e.unreachable(j.now, frame, DropNoPeer, j.left(frame))
			j.split = false
			continue
		}
		if p != j.current().peer {
			e.reserve(j)
			// The rest of a split frame is older than what was staged meanwhile.
			if e.begin(j, p) && p.HasStaged() && !j.split {
				j.flush = p
				return
			}
		}
		if !e.add(j, frame) {
			break
		}
	}
	if split := j.split; !e.reserve(j) && split {
		j.next++
	}
}

// begin begins a section for p, and reports whether p has a session.
func (e *Encapsulator) begin(j *SealJob, p *peer.Peer) bool {
	at := p.Location()
	if p.NeedsRoute(at) || p.NeedsPathMTU(at, j.now, false) {
		e.Notes.Route(p)
	}
	return j.begin(p, at)
}

// add lays out the packets of a frame for the peer of the current section. It
// reports whether the whole frame is in j or dropped.
func (e *Encapsulator) add(j *SealJob, frame []byte) bool {
	p := frame[packet.VirtioHeaderSize:]
	to, s := j.current(), &j.pieces[j.end.pieces].segments
	if !j.split && !s.Reset(frame) {
		e.Drops.Add(DropMalformed, 1)
		return true
	}
	if !to.endpoint.IsValid() {
		e.unreachable(j.now, frame, DropNoEndpoint, s.Remaining())
		j.split = false
		return true
	}
	ttl, loop := e.nesting(j.now, p, to.peer)
	switch {
	case loop:
		e.Drops.Add(DropLoop, s.Remaining())
	case to.key == nil && !j.split:
		j.stage = to.peer
		return false
	case to.key == nil:
		e.Drops.Add(DropSessionEnded, s.Remaining())
	case s.Next() > to.limit:
		e.tooBig(j.now, frame, s.Remaining(), to)
	default:
		if j.mss > 0 && packet.IsSYN(p) {
			limit := mssLimit(doubtful(to.peer, to.peer.Location()), to.fit, to.headers)
			packet.ClampFrameMSS(frame, min(j.mss, limit))
		}
		if s.Next() > to.fit {
			e.advise(j.now, frame, s.Next(), to)
		}
		if to.probe && ttl == 0 && (to.any || s.Next() > largeDatagram-overhead || packet.IsSYN(p)) {
			e.wish(j, to, p)
		}
		j.capture(frame)
		return j.layOut(header{packet.ECN(p), ttl})
	}
	j.split = false
	return true
}

// reserve ends the section and reserves counters for its packets. If the session
// does not have enough counters left (A37), reserve drops the packets, with the
// rest of the last frame, and returns false.
func (e *Encapsulator) reserve(j *SealJob) bool {
	s := j.current()
	n := j.end.packets - s.start.packets
	if s.key == nil || n == 0 {
		return true
	}
	var ok bool
	if s.first, ok = s.key.Reserve(n); ok {
		s.end, s.sealed = j.end, false
		j.count++
		if j.captures.WantsInner(s.peer) {
			j.captureSealing(s)
		}
		return true
	}
	if j.split {
		last := &j.pieces[j.end.pieces-1]
		n += last.segments.Remaining() - int(last.last-last.first)
		j.split = false
	}
	j.end = s.start
	e.Drops.Add(DropSessionEnded, n)
	e.want(j, s.peer)
	return false
}

// Send sends what j has sealed, and notes it. Calls must be in the order of Prepare,
// and by one goroutine at a time. If Prepare has not taken all frames, Send
// processes the rest as well.
func (e *Encapsulator) Send(j *SealJob) {
	e.send(j)
	for j.next < len(j.frames) {
		e.unblock(j)
		e.prepare(j)
		j.Seal()
		e.send(j)
	}
	j.frames, j.wanted = nil, nil
}

// send sends the sections of j in one call, and empties j.
func (e *Encapsulator) send(j *SealJob) {
	before := j.sent
	switch n := e.gather(j); n {
	case 0:
	case 1:
		j.errs[0] = e.udp.Send(&j.out[0])
	default:
		e.udp.SendAll(j.out[:n], j.errs[:n])
	}
	sent := 0 // trains
	for i := range j.sections[:j.count] {
		s := &j.sections[i]
		if !s.sealed {
			continue
		}
		large := false
		for t := s.start.trains; t < s.end.trains; t++ {
			e.settle(j, s, &j.trains[t], sent)
			large = large || j.trains[t].stride > largeDatagram
			sent++
		}
		if large && s.peer.NeedsPathMTU(s.peer.Location(), j.now, true) {
			e.Notes.Route(s.peer)
		}
		e.rekey(j.now, s.peer, s.key)
	}
	e.Sent.Add(j.sent - before)
	j.empty()
}

// gather puts the trains of all sections that are sealed into j.out, records that they
// are about to be sent, and returns their number.
func (e *Encapsulator) gather(j *SealJob) (n int) {
	for i := range j.sections[:j.count] {
		s := &j.sections[i]
		if !s.sealed { // the key was erased meanwhile
			e.Drops.Add(DropSessionEnded, s.end.packets-s.start.packets)
			e.want(j, s.peer)
			continue
		}
		// A40, B46: timers advance even if the socket returns an error.
		if s.peer.NoteSent(j.now, s.data() && !s.probing) {
			e.Notes.Wake(s.peer)
		}
		for t := s.start.trains; t < s.end.trains; t++ {
			j.fill(&j.out[n], s, &j.trains[t])
			n++
		}
	}
	return n
}

// leastMTU is what every path of IPv6 carries, and practically every one of IPv4.
// largeDatagram is the longest datagram that it carries over IPv6.
const (
	leastMTU      = 1280
	largeDatagram = leastMTU - batch.Headers6
)

// data reports whether s is more than a keepalive.
func (s *sealSection) data() bool { return s.end.pieces > s.start.pieces }

// fill makes b, which was filled before or is zero, the batch of a train.
func (j *SealJob) fill(b *batch.Batch, s *sealSection, t *train) {
	b.Data, b.Stride = j.buf[t.off:t.off+t.len], int(t.stride)
	b.Remote = s.endpoint
	b.ECN, b.TTL = t.head.ecn, t.head.ttl
	b.DontFragment = s.dontFragment
	b.Class = batch.Data
	if s.urgent || !s.data() {
		b.Class = batch.Control
	}
}

// settle records what became of train t, which was number i of j.out.
//
// If the source is gone, the peer's next job is sent without it. The later trains of j were
// filled with it, so the socket finds for each of them that it is gone, and leaves it out.
func (e *Encapsulator) settle(j *SealJob, s *sealSection, t *train, i int) {
	err := j.errs[i]
	if errors.Is(err, batch.ErrSourceGone) {
		s.peer.ForgetSource(s.endpoint)
	}
	if !batch.Sent(err) {
		e.Drops.Add(NotSent(err), int(t.count))
		return
	}
	if j.captures != nil {
		j.captures.Sent(s.peer, uint16(e.Port.Load()), &j.out[i])
	}
	j.sent += uint64(t.count)
	s.peer.CountSent(int(t.len))
}

// rekey requests a new session when it is time (§6.2): the initiator when the key
// is old, either side when many messages were sent with it.
func (e *Encapsulator) rekey(now clock.Time, p *peer.Peer, k *session.Keypair) {
	timing := p.Timing()
	old := k.Initiator && now.Sub(k.Created) >= timing.RekeyAfterTime
	if !old && k.Sent() < timing.RekeyAfterMessages {
		return
	}
	if e.rekeys.allow(now, k) {
		e.Notes.Want(p)
	}
}

// want posts, once for successive packets to p, that p has no session.
func (e *Encapsulator) want(j *SealJob, p *peer.Peer) {
	if j.wanted != p {
		j.wanted = p
		e.Notes.Want(p)
	}
}
