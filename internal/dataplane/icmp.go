package dataplane

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/unknown"
	"wgd/internal/wire"
)

// tooBig drops n packets of a frame whose datagrams would be too long, for UDP or for
// the tunnel around this one, and answers (A46). If the packet is itself a datagram of
// a tunnel, it counts as a loop: in a loop, datagrams grow until they do not fit. (It
// may also be from an inner tunnel with too large an MTU.)
func (e *Encapsulator) tooBig(now clock.Time, frame []byte, n int, to *sealSection) {
	reason := DropTooBig
	if to.dontFragment && wire.LooksLikeMessage(packet.UDPPayload(frame[packet.VirtioHeaderSize:])) {
		reason = DropLoop
	}
	e.Drops.Add(reason, n)
	e.answer(now, frame, packet.TooBig, to.limit)
}

// advise answers a packet of n bytes that the path carries in fragments only, if the answer helps:
// its sender must not expect routers to fragment, and every sender of IPv6 may use packets
// of 1,280 bytes. The packet is sent all the same, so that no data is lost (A46).
func (e *Encapsulator) advise(now clock.Time, frame []byte, n int, to *sealSection) {
	p, mtu := frame[packet.VirtioHeaderSize:], to.fit
	if p[0]>>4 == 6 {
		const minimum = 1280
		if mtu = max(mtu, minimum); n <= mtu {
			return
		}
	} else if !packet.DontFragment(p) {
		return
	}
	e.answer(now, frame, packet.TooBig, mtu)
}

// unreachable drops the n packets of a frame for which there is no peer, or a peer
// without an endpoint, and answers with an ICMP error (A48).
func (e *Encapsulator) unreachable(now clock.Time, frame []byte, reason Drop, n int) {
	e.Drops.Add(reason, n)
	// Only what is answered is recorded: not multicast, and not every packet of a flood.
	if e.answer(now, frame, packet.Unreachable, 0) && reason == DropNoPeer {
		e.Unreached.add(now, packet.Destination(frame[packet.VirtioHeaderSize:]))
	}
}

// park keeps the next frame, for which there is no peer, if somebody may add one.
func (e *Encapsulator) park(j *SealJob, frame []byte) unknown.Parking {
	if !e.Unknown.Active() || j.split {
		return unknown.Dropped
	}
	to := packet.Destination(frame[packet.VirtioHeaderSize:])
	return e.Unknown.Park(j.now, to, unknown.Packet{Frame: frame, Count: j.left(frame)}, e.routed)
}

// hasPeer reports whether a peer has the inner address.
func (s *Shared) hasPeer(a netip.Addr) bool {
	_, ok := s.Routes.Load().Lookup(a)
	return ok
}

// answer writes an ICMP error about a frame to the interface, and reports whether the
// frame may be answered now.
func (e *Encapsulator) answer(now clock.Time, frame []byte, problem packet.Problem, mtu int) bool {
	n := packet.PutError(e.errFrame[:], frame[packet.VirtioHeaderSize:], problem, mtu)
	if n == 0 || !e.errors.Take(now, errorBurst, errorInterval) {
		return false
	}
	e.errWrite[0] = e.errFrame[:n]
	if e.tun.Write(e.errWrite[:]) != nil {
		e.Drops.Add(DropInterface, 1)
	}
	return true
}

// ICMP errors serve people and path MTU discovery. A flood of packets without a
// peer must not cause a flood of errors (A48).
const (
	errorInterval = 10 * time.Millisecond // one error each, on average
	errorBurst    = 50
)
