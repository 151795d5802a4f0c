package peer

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
)

const (
	// nestedMemory is how long a note that a peer is reached through another one
	// is valid.
	nestedMemory = time.Second
	// maxNested is more tunnels than can be inside each other.
	maxNested = 64
)

// Reaches reports whether to, taken from a packet and therefore without a zone, is
// the peer's address and port.
func (p *Peer) Reaches(to netip.AddrPort) bool {
	remote := p.Location().at.Remote
	return remote.Port() == to.Port() && remote.Addr().WithZone("") == to.Addr()
}

// GoesThrough records that a datagram of ours to p is about to be sent through the
// tunnel to via. It reports whether that is a loop: via is p, or was itself reached
// through p within nestedMemory, directly or through others (A46). One tunnel inside
// another is no loop.
func (p *Peer) GoesThrough(via *Peer, now clock.Time) (loop bool) {
	p.via.Store(via)
	p.viaAt.Store(int64(now))
	for range maxNested {
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
