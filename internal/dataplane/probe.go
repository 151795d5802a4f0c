package dataplane

import (
	"net/netip"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
)

// doubtful reports whether new TCP connections should expect that the path carries little: a
// search has begun to doubt, or nothing has been found out yet. Should the path be narrow,
// it is late to tell the ends of a connection: over inner IPv6 no less than 1,280 bytes, and
// if no host answers probes, not in time.
func doubtful(p *peer.Peer, at *peer.Location) bool {
	b := at.Probing()
	return b != nil && b.Doubt || p.Unproven(at)
}

// mssLimit returns how long the packets of a new TCP connection may be if those of fit bytes
// are known to fit. headers is the length of those outside.
func mssLimit(doubtful bool, fit, headers int) int {
	if doubtful {
		fit = min(fit, leastMTU-headers-overhead)
	}
	return unpadded(fit)
}

// wish tells the machine that the MTU of the path matters, because of p: it is large, or
// begins a TCP connection. It is not called for a packet that leaves with a TTL of its own,
// and does nothing for a fragment: the one is of a tunnel itself, and the other is what most
// of the packets in a loop are, where probes would go round as well (A46).
func (e *Encapsulator) wish(j *SealJob, to *sealSection, p []byte) {
	if _, fragment := packet.Fragment(p); fragment {
		return
	}
	to.probe = false
	e.Shared.wish(j.now, to.peer, packet.Source(p), packet.Destination(p))
}

// wish does so once for each time at which a search may begin. from is on our side.
func (s *Shared) wish(now clock.Time, p *peer.Peer, from, to netip.Addr) {
	echo := packet.Echo{From: from, To: to}
	if echo.Valid() && p.Location().ClaimProbe(now) {
		s.Notes.Probe(p, peer.ProbeWish{From: from, To: to, MTU: int(s.MTU.Load())})
	}
}

// Probe sends a packet that the machine has made to p. With a size, it is padded to a
// datagram of that many bytes, which is not fragmented. It is no data: nobody waits for an
// answer. If there is no session, nothing is sent. No other job of e may be under way.
func (e *Encapsulator) Probe(j *SealJob, now clock.Time, p *peer.Peer, frame []byte, size int) {
	j.reset(now, nil, e.Shared)
	to := j.current()
	s := &j.pieces[0].segments
	if !e.begin(j, p) || !to.endpoint.IsValid() || !s.Reset(frame) {
		return
	}
	n := j.padded(s.Next(), to.fit)
	to.probing = true
	if size > 0 {
		// Over IPv6, no router fragments, and this host does not know less of the path. So that
		// case needs no socket with DF.
		to.dontFragment, to.urgent = to.dontFragment || to.headers == batch.Headers4, true
		n = max(n, size-overhead)
	}
	if j.put(n, 1, header{}) == 0 {
		return
	}
	j.pieces[0].first, j.pieces[0].last = 0, 1
	j.capture(frame)
	j.end.pieces++
	e.reserve(j)
	j.Seal()
	e.send(j)
}
