package dataplane

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// loopMemory is how long fragments are expected after the datagram's beginning.
const loopMemory = time.Second

// loop notices our own datagrams coming back: where the route to a peer's
// endpoint leads into the tunnel, each would be wrapped again without end. With
// fragmentation allowed outside (A46), fragments come back too, and of those
// but the first nobody can see what they are: they are taken for ours for a
// while after one that is.
type loop struct {
	to    netip.Addr
	until clock.Time
}

// loops reports whether p, about to be sent to the destination, is one of our
// datagrams to it. The ports cost next to nothing to compare, and they alone do
// not tell: somebody behind us may have a tunnel of his own to the same server,
// from the same port, inside ours.
func (e *Encapsulator) loops(p []byte) bool {
	from, to, udp, ok := packet.UDPPorts(p)
	if !udp {
		return false
	}
	if !ok {
		return e.now < e.loop.until && packet.Destination(p) == e.loop.to
	}
	remote := e.to.endpoint.Remote
	if from != uint16(e.Port.Load()) || to != remote.Port() {
		return false
	}
	if a := packet.Destination(p); a == remote.Addr().WithZone("") && e.ours(packet.UDPPayload(p)) {
		e.loop = loop{to: a, until: e.now.Add(loopMemory)}
		return true
	}
	return false
}

// ours reports whether msg is a message that we made for the destination: the
// index in it is one of the two of us.
func (e *Encapsulator) ours(msg []byte) bool {
	kind, ok := wire.TypeOf(msg)
	switch {
	case !ok:
		return false
	case kind == wire.TypeData:
		return sendsTo(e.to.peer.Sessions(), wire.DataIndex(msg))
	case kind == wire.TypeInitiation, kind == wire.TypeResponse:
		entry := e.Index.Lookup(wire.SenderIndex(msg))
		return entry != nil && entry.Peer == e.to.peer
	}
	return false
}

// sendsTo reports whether the index is the other end's of one of the sessions.
func sendsTo(s *peer.Sessions, remote uint32) bool {
	return s.Current != nil && s.Current.Remote == remote ||
		s.Next != nil && s.Next.Remote == remote ||
		s.Previous != nil && s.Previous.Remote == remote
}
