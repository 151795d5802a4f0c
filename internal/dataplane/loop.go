package dataplane

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// Where a peer's endpoint lies behind a tunnel, our datagrams to it are packets of
// that tunnel. That is a tunnel inside a tunnel, and no fault, unless the way
// closes: then each datagram is wrapped again and again, and grows until it is
// fragmented, and the fragments go round as well (A46). Two things end that:
//
//   - A datagram of ours that comes out of the interface is known by its index, and
//     which peer is reached through which other one is remembered (peer.GoesThrough).
//   - What looks like a WireGuard datagram, of ours or of others', has an outer TTL
//     that is clearly below its own. So a loop through other interfaces, processes or
//     hosts comes to an end, of which nobody sees more than his part.
const (
	// nestingCost is by how much each tunnel around a tunnel lowers the TTL: so little
	// that a dozen tunnels fit into each other, so much that a loop stays small.
	// fragmentCost is the same for fragments: tunnels with suitable MTUs have none, and
	// in a loop there are more in each round.
	nestingCost  = 5
	fragmentCost = 10

	// loopMemory is how long fragments are expected after the datagram's beginning.
	loopMemory = time.Second
	// loopFragments is how many datagrams of whose fragments that is remembered.
	loopFragments = 8
)

// loop remembers the fragmented datagrams that were found to come back. Of fragments
// but the first nobody can see what they are.
type loop struct {
	until      clock.Time
	fragmented [loopFragments]struct {
		to    netip.Addr
		id    uint32
		until clock.Time
	}
	next int
}

// nesting tells, of a packet about to be sent to a peer, the TTL of the datagram
// around it, 0 for the usual one, and whether it may not be sent because it would
// come back. Others than UDP packets are not looked at.
func (e *Encapsulator) nesting(now clock.Time, p []byte, via *peer.Peer) (ttl byte, loop bool) {
	from, to, udp, ok := packet.UDPPorts(p)
	if !udp {
		return 0, false
	}
	id, fragment := packet.Fragment(p)
	if !ok {
		if e.loop.knows(packet.Destination(p), id, now) {
			return 0, true
		}
		return lower(p, fragmentCost, now < e.loop.until)
	}
	msg := packet.UDPPayload(p)
	// One comparison for all packets that are not ours. The port alone does not
	// tell: somebody behind us may have a tunnel from the same port inside ours.
	if from == uint16(e.Port.Load()) && e.comesBack(now, msg, netip.AddrPortFrom(packet.Destination(p), to), via) {
		e.loop.note(now, p, id, fragment)
		return 0, true
	}
	message := wire.LooksLikeMessage(msg)
	if !message && !fragment {
		return 0, false
	}
	cost := byte(nestingCost)
	if fragment {
		cost = fragmentCost
	}
	if ttl, loop = lower(p, cost, message); loop {
		e.loop.note(now, p, id, fragment)
	}
	return ttl, loop
}

// lower is the TTL around p, which is nested, or may be: it is below the TTL of
// p. Without room for that p is not sent if it is certain that it is nested.
func lower(p []byte, cost byte, certain bool) (ttl byte, loop bool) {
	inner := packet.TTL(p)
	switch {
	case inner <= cost:
		return 0, certain
	case inner-cost >= usualTTL:
		return 0, false
	}
	return inner - cost, false
}

// usualTTL is what datagrams have unless something else is asked for.
const usualTTL = 64

// comesBack reports whether msg, on its way to that address, is a message of ours
// and the peer to whom it goes is one through whom via is reached.
func (e *Encapsulator) comesBack(now clock.Time, msg []byte, to netip.AddrPort, via *peer.Peer) bool {
	p := e.receiver(msg, to)
	return p != nil && p.GoesThrough(via, now)
}

// receiver is the peer for whom we made msg; nil when we did not.
func (e *Encapsulator) receiver(msg []byte, to netip.AddrPort) *peer.Peer {
	kind, ok := wire.TypeOf(msg)
	switch {
	case !ok:
		return nil
	case kind == wire.TypeData:
		if entry := e.Index.LookupRemote(wire.DataIndex(msg), to); entry != nil {
			return entry.Peer
		}
	case kind == wire.TypeInitiation, kind == wire.TypeResponse:
		if entry := e.Index.Lookup(wire.SenderIndex(msg)); entry != nil && entry.Peer.Reaches(to) {
			return entry.Peer
		}
	}
	return nil
}

// note remembers that p was found to come back.
func (l *loop) note(now clock.Time, p []byte, id uint32, fragment bool) {
	l.until = now.Add(loopMemory)
	if !fragment {
		return
	}
	f := &l.fragmented[l.next%loopFragments]
	f.to, f.id, f.until = packet.Destination(p), id, l.until
	l.next++
}

// knows reports whether the datagram of which that is a fragment was found to come
// back.
func (l *loop) knows(to netip.Addr, id uint32, now clock.Time) bool {
	if now >= l.until {
		return false
	}
	for i := range l.fragmented {
		if f := &l.fragmented[i]; f.id == id && f.to == to && now < f.until {
			return true
		}
	}
	return false
}
