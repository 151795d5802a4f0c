package dataplane

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// If a peer's endpoint lies behind a tunnel, our datagrams to it are packets of
// that tunnel. A tunnel inside a tunnel is not a fault, unless the path is a loop:
// then each datagram is wrapped again and again and grows until it is fragmented,
// and the fragments go round as well (A46). Two checks end a loop:
//
//   - A datagram of ours that comes out of the interface is recognised by its index,
//     and the peers remember which of them is reached through which other one
//     (peer.GoesThrough).
//   - A packet that looks like a WireGuard datagram, ours or not, gets an outer TTL
//     clearly below its own. This ends a loop through other interfaces, processes or
//     hosts, each of which sees only its part.
const (
	// nestingCost is by how much each tunnel around a tunnel lowers the TTL: little
	// enough for a dozen nested tunnels, and enough to keep a loop short.
	// fragmentCost is the same for fragments: tunnels with suitable MTUs have none, and
	// in a loop there are more in each round.
	nestingCost  = 5
	fragmentCost = 10

	// loopMemory is how long later fragments are expected after the first one.
	loopMemory = time.Second
	// loopFragments is the number of fragmented datagrams that are remembered.
	loopFragments = 8
)

// loop remembers the fragmented datagrams that were found to come back, because
// later fragments have no header by which to recognise them.
type loop struct {
	until      clock.Time
	fragmented [loopFragments]struct {
		to    netip.Addr
		id    uint32
		until clock.Time
	}
	next int
}

// nesting returns the TTL of the datagram around p, a packet to be sent to via, or
// 0 for the usual one. loop reports that p must not be sent, because it would come
// back. Only UDP packets are examined.
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
	// Packets that are not ours cost one comparison. The port alone is not proof: a
	// host behind us may have a tunnel from the same port inside ours.
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

// lower returns a TTL for the datagram around p: cost below the TTL of p, or 0 if
// the usual one is low enough. If the TTL of p is not above cost, loop is true for a
// packet that is certain to be nested.
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

// usualTTL is the TTL of datagrams for which no other one is set.
const usualTTL = 64

// comesBack reports whether msg, which is sent to that address, is our own message
// to a peer through which via is reached.
func (e *Encapsulator) comesBack(now clock.Time, msg []byte, to netip.AddrPort, via *peer.Peer) bool {
	p := e.receiver(msg, to)
	return p != nil && p.GoesThrough(via, now)
}

// receiver returns the peer to which we sent msg, or nil if msg is not ours.
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

// note records that p was found to come back.
func (l *loop) note(now clock.Time, p []byte, id uint32, fragment bool) {
	l.until = now.Add(loopMemory)
	if !fragment {
		return
	}
	f := &l.fragmented[l.next%loopFragments]
	f.to, f.id, f.until = packet.Destination(p), id, l.until
	l.next++
}

// knows reports whether the datagram of the fragment with this destination and
// identification was found to come back.
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
