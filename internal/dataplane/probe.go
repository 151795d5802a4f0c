package dataplane

import (
	"net/netip"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
)

// doubt is whether new TCP connections should expect that the path carries little, although
// that is not known.
type doubt uint8

const (
	doubtNothing doubt = iota
	// doubtIPv6: nobody has searched yet. Should the path be narrow, the ends of a connection
	// can be told so later, but over IPv6 no less than 1,280 bytes.
	doubtIPv6
	doubtAll // a search has begun to doubt
)

func doubtAbout(p *peer.Peer, at *peer.Location) doubt {
	if b := at.Probing(); b != nil && b.Doubt {
		return doubtAll
	}
	if p.Unproven(at) {
		return doubtIPv6
	}
	return doubtNothing
}

// mssLimit returns how long the packets of a new TCP connection may be, of which inner is
// one, if those of fit bytes are known to fit. headers is the length of those outside.
func (d doubt) mssLimit(inner []byte, fit, headers int) int {
	if d == doubtAll || d == doubtIPv6 && inner[0]>>4 == 6 {
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
// datagram of that many bytes, which is not fragmented. If there is no session, nothing is
// sent. No other job of e may be under way.
func (e *Encapsulator) Probe(j *SealJob, now clock.Time, p *peer.Peer, frame []byte, size int) {
	j.reset(now, nil, e.Shared)
	to := j.current()
	s := &j.pieces[0].segments
	if !e.begin(j, p) || !to.endpoint.IsValid() || !s.Reset(frame) {
		return
	}
	n := j.padded(s.Next(), to.fit)
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
	j.end.pieces++
	e.reserve(j)
	j.Seal()
	e.send(j)
}
