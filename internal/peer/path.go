package peer

import (
	"net/netip"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
)

// The kernel knows the MTU of the path to a destination if a route names it, or if ICMP
// reported it in the last ten minutes. It tells nobody when that changes. So it is asked
// while large datagrams are sent, at most once per pathFresh, and its answer is forgotten
// after pathLife (RFC 1191, RFC 8201).
//
// Where ICMP does not pass, the machine looks for the MTU (package pathmtu). What it finds
// is valid until another search, because whoever sends large datagrams to the peer causes
// one. It cannot be more than what the kernel knows.
const (
	pathFresh = time.Second
	pathLife  = 10 * time.Minute

	// probeClaim is how long a search may take to begin after the machine was told.
	probeClaim = time.Second
)

// A PathSource is how the MTU of a path was learned.
type PathSource uint8

const (
	FromNothing PathSource = iota // it is not known
	FromRoute
	FromICMP
	FromProbe
)

// PathMTU returns the MTU of the path to l, with all headers, and how it was learned; 0: it
// is not known, or it is that of the first link.
func (l *Location) PathMTU(now clock.Time) (mtu int, from PathSource) {
	mtu, from = l.kernelMTU(now)
	if b := l.probes.Load(); b != nil {
		if probed := int(b.mtu.Load()); probed != 0 && (mtu == 0 || probed < mtu) {
			return probed, FromProbe
		}
	}
	return mtu, from
}

// KernelMTU returns what the kernel knows of it; 0: nothing.
func (l *Location) KernelMTU(now clock.Time) int {
	mtu, _ := l.kernelMTU(now)
	return mtu
}

func (l *Location) kernelMTU(now clock.Time) (mtu int, from PathSource) {
	mtu = int(l.pathMTU.Load())
	switch {
	case mtu == 0 || l.pathAge(now) > pathLife:
		return 0, FromNothing
	case mtu < 0:
		return -mtu, FromICMP
	}
	return mtu, FromRoute
}

// SetPathMTU records what the kernel answered at now: an MTU, or 0. reported says that it
// is known from ICMP.
func (l *Location) SetPathMTU(now clock.Time, mtu int, reported bool) {
	if reported {
		mtu = -mtu
	}
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
	l.probes.Store(old.probes.Load())
}

// probes are what was found about a path by probes, and when there may be more. It is
// shared by Locations with the same remote address, and allocated when it is first needed:
// few peers of many have it.
type probes struct {
	mtu     atomic.Int32 // found by the last search; 0: the path is not narrow
	next    atomic.Int64 // clock.Time from which on a search may begin; see NeedsProbe
	raise   atomic.Int64 // clock.Time from which on it looks for more than mtu; 0: none has ended
	probing atomic.Pointer[Probing]
}

// own returns the probes of l, which it allocates if there are none.
func (l *Location) own() *probes {
	if l.probes.Load() == nil {
		l.probes.CompareAndSwap(nil, &probes{})
	}
	return l.probes.Load()
}

// AnyProbes reports whether any packet is to cause the next search: the path to l is known to
// be narrow, or there was none yet, and it should end before a TCP connection begins.
// Otherwise only large packets cause one, and those with which TCP connections begin.
func (l *Location) AnyProbes() bool {
	b := l.probes.Load()
	return b == nil || b.mtu.Load() != 0 || b.next.Load() == 0
}

// Unproven reports whether no search has found out yet what the path to l carries, but one
// may begin.
func (p *Peer) Unproven(l *Location) bool {
	b := l.probes.Load()
	return (b == nil || b.raise.Load() == 0) && p.common.Timing().ProbePaths && p.common.changes.Load() != nil
}

// A ProbeWish says that the MTU of a path matters now, because of a packet.
type ProbeWish struct {
	From, To netip.Addr // inner addresses: on our side, and of the peer
	MTU      int        // of the interface
}

// NeedsProbe reports whether a search for the MTU of the path to l may begin.
func (p *Peer) NeedsProbe(l *Location, now clock.Time) bool {
	b := l.probes.Load()
	return (b == nil || int64(now) >= b.next.Load()) && p.common.Timing().ProbePaths && l.at.IsValid() && p.common.changes.Load() != nil
}

// ClaimProbe reports whether the caller is the one to tell the machine so.
func (l *Location) ClaimProbe(now clock.Time) bool {
	b := l.own()
	next := b.next.Load()
	return int64(now) >= next && b.next.CompareAndSwap(next, int64(now.Add(probeClaim)))
}

// PostponeProbe sets when the next search may begin. Core only.
func (l *Location) PostponeProbe(until clock.Time) { l.own().next.Store(int64(until)) }

// SetProbed records what a search has found; 0: the path is not narrow. Before raise, the
// next search only looks whether that is still so. With a raise of 0, it has found nothing
// out. Core only.
func (l *Location) SetProbed(mtu int, raise clock.Time) {
	b := l.own()
	b.mtu.Store(int32(mtu))
	b.raise.Store(int64(raise))
}

// Probed returns what the last search has found, and whether the next one is to look for
// more.
func (l *Location) Probed(now clock.Time) (mtu int, raise bool) {
	b := l.own()
	return int(b.mtu.Load()), int64(now) >= b.raise.Load()
}

// forgetProbes makes a search due that looks for all sizes, because the route is another
// one. What was found stays valid until then.
func (l *Location) forgetProbes() {
	if b := l.probes.Load(); b != nil {
		b.next.Store(0)
		b.raise.Store(0)
	}
}

// Probing tells the data plane which packets of a peer are answers to probes.
type Probing struct {
	ID    uint16
	Token uint64
	// Doubt says that the path seems to be narrow. Until it is known how narrow, new TCP
	// connections should expect the worst.
	Doubt bool
}

// Probing returns what to look for, or nil: there is no search.
func (l *Location) Probing() *Probing {
	if b := l.probes.Load(); b != nil {
		return b.probing.Load()
	}
	return nil
}

// SetProbing begins a search, or with nil, ends it. Core only.
func (l *Location) SetProbing(b *Probing) { l.own().probing.Store(b) }
