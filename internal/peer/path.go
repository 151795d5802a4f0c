package peer

import (
	"time"

	"wgd/internal/clock"
)

// The kernel knows the MTU of the path to a destination if a route names it, or if ICMP
// reported it in the last ten minutes. It tells nobody when that changes. So it is asked
// while large datagrams are sent, at most once per pathFresh, and its answer is forgotten
// after pathLife (RFC 1191, RFC 8201).
const (
	pathFresh = time.Second
	pathLife  = 10 * time.Minute
)

// PathMTU returns the MTU of the path to l, with all headers; 0: it is not known, or it is
// that of the first link.
func (l *Location) PathMTU(now clock.Time) int {
	mtu := int(l.pathMTU.Load())
	if mtu == 0 || l.pathAge(now) > pathLife {
		return 0
	}
	return mtu
}

// SetPathMTU records what the kernel answered at now: an MTU, or 0.
func (l *Location) SetPathMTU(now clock.Time, mtu int) {
	l.pathMTU.Store(int32(mtu))
	l.pathAsked.Store(int64(now))
}

// NeedsPathMTU reports whether the kernel is to be asked for the MTU of the path to l. large
// says that a datagram was sent that the path may not carry.
func (p *Peer) NeedsPathMTU(l *Location, now clock.Time, large bool) bool {
	if large {
		return l.pathAge(now) >= pathFresh && l.at.IsValid() && p.common.changes.Load() != nil
	}
	return l.pathMTU.Load() != 0 && l.pathAge(now) > pathLife
}

func (l *Location) pathAge(now clock.Time) time.Duration {
	return now.Sub(clock.Time(l.pathAsked.Load()))
}

// keepPath copies what old, a Location with the same remote address, knows about the path.
func (l *Location) keepPath(old *Location) {
	l.pathMTU.Store(old.pathMTU.Load())
	l.pathAsked.Store(old.pathAsked.Load())
}
