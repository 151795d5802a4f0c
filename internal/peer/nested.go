package peer

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
)

const (
	// nestedMemory is how long it counts that a peer was reached through another.
	nestedMemory = time.Second
	// mostNested is more tunnels than can be inside each other.
	mostNested = 64
)

// Reaches reports whether that is the peer's address and port, as they stand in a
// packet: without a zone.
func (p *Peer) Reaches(to netip.AddrPort) bool {
	remote := p.Location().at.Remote
	return remote.Port() == to.Port() && remote.Addr().WithZone("") == to.Addr()
}

// GoesThrough notes that a datagram of ours to p is about to be sent through the
// tunnel to via, and reports whether it would come back: via is p, or was
// itself reached through p a short while ago, directly or through others (A46).
// One tunnel inside the other is no loop.
func (p *Peer) GoesThrough(via *Peer, now clock.Time) (loop bool) {
	p.via.Store(via)
	p.viaAt.Store(int64(now))
	for range mostNested {
		if via == p {
			return true
		}
		if now.Sub(clock.Time(via.viaAt.Load())) >= nestedMemory {
			return false
		}
		if via = via.via.Load(); via == nil {
			return false
		}
	}
	return true
}
