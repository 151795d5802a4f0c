package peer

import (
	"net/netip"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

// A Location is a peer's endpoint and what is known about the route to it. A peer
// gets a new Location when its endpoint changes; the result of a route lookup is
// written into the Location for which it was made.
type Location struct {
	at      wire.Endpoint // configured, or taken from the last datagram received
	avoided *avoided
	before  *Route // as known for the Location before this one; nil: nothing, or another remote
	route   atomic.Pointer[Route]
	checked atomic.Uint64 // Changes.Count up to which the route is known to be right
	queued  atomic.Bool   // see Queue

	pathMTU   atomic.Int32 // as the kernel knows it; negative: ICMP reported it. See PathMTU
	pathAsked atomic.Int64 // clock.Time at which the kernel was last asked for it; 0: never
	probes    atomic.Pointer[probes]
}

// A Route is the kernel's answer for an endpoint: the route of a datagram without
// a given source (A52). It is immutable, and shared by peers.
type Route struct {
	Found     bool
	Interface uint32
	Gateway   netip.Addr // invalid: the endpoint is a neighbour
	Source    netip.Addr // the source that the kernel would choose

	Tunnel bool // the interface is a tunnel, ours or another one
	MTU    int  // of the interface; 0: not known

	// Pinned: a reply from the address that received leaves by the interface that
	// received, although the routing table prefers another one.
	Pinned bool
}

// SamePath reports whether r and s have the same interface, gateway and source.
func (r *Route) SamePath(s *Route) bool {
	return r.Found == s.Found && r.Interface == s.Interface && r.Gateway == s.Gateway && r.Source == s.Source
}

// avoided is a source that was forgotten because the route changed. The peer does
// not know the new one yet and goes on sending to the old one. For a while, that is
// no reason to use the old one again.
type avoided struct {
	source   netip.Addr
	since    clock.Time
	informed atomic.Int64 // clock.Time of the first datagram to source after we had sent from another one; 0: none
}

// avoidTime is how long a peer may take to learn our new address, from its first
// datagram after we used that. If it still sends to the old one afterwards,
// something on the path lets only the old one pass.
const avoidTime = 2 * time.Second

var nowhere = &Location{}

// Location returns the peer's Location, never nil.
func (p *Peer) Location() *Location {
	if l := p.location.Load(); l != nil {
		return l
	}
	return nowhere
}

// Endpoint returns the addresses for sending to the peer; not valid if unknown.
func (p *Peer) Endpoint() wire.Endpoint { return p.Location().Endpoint() }

// Endpoint returns the addresses for sending. It includes the interface that received
// only for link-local addresses, which are ambiguous without it, and if the route is
// pinned.
func (l *Location) Endpoint() wire.Endpoint {
	e := l.at
	if e.SourceIndex != 0 && !e.LinkLocal() {
		if r := l.route.Load(); r == nil || !r.Pinned {
			e.SourceIndex = 0
		}
	}
	return e
}

// Received returns the endpoint of the last datagram received, with the interface.
func (l *Location) Received() wire.Endpoint { return l.at }

// Route returns the route, or nil if it is not known yet.
func (l *Location) Route() *Route { return l.route.Load() }

// LastRoute returns what was last known about the route to the same remote address,
// perhaps with another source; nil: nothing. A source that is newer than a change of
// the route, but older than the first lookup after it, is recognised by comparing
// with that.
func (l *Location) LastRoute() *Route {
	if r := l.route.Load(); r != nil {
		return r
	}
	return l.before
}

// IntoTunnel reports whether datagrams are routed into a tunnel, where nothing may be
// fragmented (A46).
func (l *Location) IntoTunnel() bool {
	r := l.LastRoute()
	return r != nil && r.Tunnel
}

// SetEndpoint publishes e and reports whether it is new. It must be called only
// after a handshake message was authenticated, or by configuration (A51). An
// endpoint to which nothing can be sent is ignored: a datagram may come from port 0.
func (p *Peer) SetEndpoint(e wire.Endpoint) bool {
	if !e.IsValid() {
		return false
	}
	old := p.location.Load()
	if old != nil && old.at == e {
		return false
	}
	p.location.Store(p.newLocation(old, e))
	return true
}

// newLocation returns a Location for e that keeps the route of old if it is valid
// for e.
func (p *Peer) newLocation(old *Location, e wire.Endpoint) *Location {
	l := &Location{at: e}
	l.checked.Store(p.common.changeCount())
	if old == nil || old.at.Remote != e.Remote {
		return l
	}
	l.before = old.LastRoute()
	l.keepPath(old)
	// Whether to pin the interface must be looked up for each source.
	r, checked := old.route.Load(), old.checked.Load()
	if r == nil || r.Pinned || e.SourceIndex != 0 && !e.LinkLocal() || p.common.changed(e.Remote.Addr(), checked) {
		return l
	}
	l.SetRoute(r, checked)
	return l
}

// Follow sets the endpoint to the sender of authenticated data (A51), and reports
// whether it changed.
func (p *Peer) Follow(now clock.Time, from wire.Endpoint) bool {
	l := p.location.Load()
	if l != nil {
		if l.at == from {
			return false
		}
		if a := l.avoided; a != nil && from.Remote == l.at.Remote && from.Source == a.source && !p.expired(a, now) {
			return false
		}
	}
	return p.SetEndpoint(from)
}

// expired reports whether the peer has had enough time to learn that another source
// than that of a is in use.
func (p *Peer) expired(a *avoided, now clock.Time) bool {
	if p.LastSent() <= a.since {
		return false
	}
	if a.informed.CompareAndSwap(0, int64(now)) {
		return false
	}
	return now.Sub(clock.Time(a.informed.Load())) >= avoidTime
}

// ForgetSource forgets the sticky source (A52) if it still is that of e.
func (p *Peer) ForgetSource(e wire.Endpoint) {
	if l := p.location.Load(); l != nil && e.Source.IsValid() && l.at.Source == e.Source && l.at.Remote == e.Remote {
		p.location.CompareAndSwap(l, p.newLocation(l, e.Sourceless()))
	}
}

// Reroute forgets the sticky source of l because the route has changed to r, which
// is known to be right up to change number checked (A52). The kernel chooses a new
// source for the next datagram.
func (p *Peer) Reroute(now clock.Time, l *Location, r *Route, checked uint64) {
	next := &Location{at: l.at.Sourceless(), avoided: &avoided{source: l.at.Source, since: now}}
	next.SetRoute(r, checked)
	p.location.CompareAndSwap(l, next)
}

// SetRoute records that r is the route, up to change number checked.
func (l *Location) SetRoute(r *Route, checked uint64) {
	if old := l.route.Swap(r); old != nil && !old.SamePath(r) {
		l.forgetProbes()
	}
	l.checked.Store(checked)
}

// Checked returns the number of the last change up to which the route is known to
// be right. Without a route, it is that of the last change before the endpoint was
// set.
func (l *Location) Checked() uint64 { return l.checked.Load() }

// NeedsRoute reports whether the route to l must be looked up, because it is not
// known or may have changed. It is called for every batch that is sent, and only
// compares two numbers unless a route changes.
func (p *Peer) NeedsRoute(l *Location) bool {
	c := p.common.changes.Load()
	if c == nil || !l.at.IsValid() {
		return false // routes are not followed
	}
	checked := l.checked.Load()
	if l.route.Load() != nil {
		if checked == c.count {
			return false
		}
		if !c.Affect(l.at.Remote.Addr(), checked) {
			l.checked.CompareAndSwap(checked, c.count)
			return false
		}
	}
	return true
}

// Queue marks l as queued for a route lookup, and reports whether it was not queued
// yet.
func (l *Location) Queue() bool { return !l.queued.Load() && l.queued.CompareAndSwap(false, true) }

// Unqueue must be called when l leaves the queue, before the lookup.
func (l *Location) Unqueue() { l.queued.Store(false) }
