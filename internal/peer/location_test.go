package peer

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

var (
	remoteA  = netip.MustParseAddrPort("192.0.2.1:7")
	remoteB  = netip.MustParseAddrPort("192.0.2.2:7")
	sourceA  = netip.MustParseAddr("203.0.113.1")
	sourceB  = netip.MustParseAddr("203.0.113.2")
	receiveA = wire.NewEndpoint(remoteA, sourceA, 3)
	receiveB = wire.NewEndpoint(remoteA, sourceB, 4)
)

// routed returns a peer of an interface that follows the routes.
func routed() *Peer {
	p := newPeer()
	p.common.SetChanges(&Changes{})
	return p
}

// The source that received is always used for sending; the interface that received
// only for link-local addresses, and where the route is pinned. (A52)
func TestInterfaceOfTheEndpoint(t *testing.T) {
	p := routed()
	p.SetEndpoint(receiveA)
	if e := p.Endpoint(); e.Source != sourceA || e.SourceIndex != 0 || p.Location().Received() != receiveA {
		t.Errorf("the route is not known: %+v", e)
	}
	p.Location().SetRoute(&Route{Found: true, Interface: 9}, 0)
	if e := p.Endpoint(); e.SourceIndex != 0 {
		t.Errorf("the route is not pinned: %+v", e)
	}
	p.Location().SetRoute(&Route{Found: true, Interface: 9, Pinned: true}, 0)
	if p.Endpoint() != receiveA {
		t.Errorf("the route is pinned: %+v", p.Endpoint())
	}
	p.ForgetSource(receiveA.Sourceless())
	p.ForgetSource(wire.NewEndpoint(remoteB, sourceA, 3))
	p.ForgetSource(wire.NewEndpoint(remoteA, sourceB, 3))
	if p.Endpoint() != receiveA {
		t.Error("the source of another endpoint was forgotten")
	}
	p.ForgetSource(wire.NewEndpoint(remoteA, sourceA, 0))
	if p.Endpoint() != receiveA.Sourceless() {
		t.Errorf("the source was not forgotten: %+v", p.Endpoint())
	}
	for _, local := range []wire.Endpoint{
		wire.NewEndpoint(netip.MustParseAddrPort("[fe80::1%3]:7"), netip.MustParseAddr("fe80::2"), 3),
		wire.NewEndpoint(netip.MustParseAddrPort("169.254.0.1:7"), sourceA, 3),
	} {
		p.SetEndpoint(local)
		if p.Endpoint() != local {
			t.Errorf("link-local: %+v", p.Endpoint())
		}
	}
}

// The kernel must be asked about a route that is not known or may have changed, and
// about no other. (A52)
func TestNeedsRoute(t *testing.T) {
	p := newPeer()
	p.SetEndpoint(receiveA)
	if p.NeedsRoute(p.Location()) {
		t.Error("routes are not followed")
	}
	p = routed()
	if p.NeedsRoute(p.Location()) {
		t.Error("without an endpoint")
	}
	p.SetEndpoint(receiveA)
	l := p.Location()
	if !p.NeedsRoute(l) {
		t.Error("the route is not known")
	}
	r := &Route{Found: true}
	l.SetRoute(r, 0)
	if p.NeedsRoute(l) {
		t.Error("the route is known")
	}
	p.common.SetChanges(p.common.Changes().After(netip.MustParsePrefix("198.51.100.0/24")))
	if p.NeedsRoute(l) || l.Checked() != 1 {
		t.Error("a change elsewhere")
	}
	p.common.SetChanges(p.common.Changes().After(netip.MustParsePrefix("192.0.2.0/24")))
	for range 2 {
		if !p.NeedsRoute(l) {
			t.Error("a change of the route")
		}
	}
	l.SetRoute(r, 2)
	if p.NeedsRoute(l) {
		t.Error("the change is known")
	}
	// Without its source, the route stays known; another remote has another route.
	p.ForgetSource(receiveA)
	if l := p.Location(); l.Route() != r || p.NeedsRoute(l) {
		t.Error("without its source")
	}
	p.SetEndpoint(wire.NewEndpoint(remoteB, sourceA, 3))
	if !p.NeedsRoute(p.Location()) {
		t.Error("another remote")
	}
	// A route that may have changed before the source was forgotten is not kept.
	p.Location().SetRoute(r, 2)
	p.common.SetChanges(p.common.Changes().After(netip.MustParsePrefix("192.0.2.0/24")))
	p.ForgetSource(p.Endpoint())
	if p.Location().Route() != nil {
		t.Error("a route that may have changed is kept")
	}
}

// A location is queued once.
func TestQueueOnce(t *testing.T) {
	p := routed()
	p.SetEndpoint(receiveA)
	l := p.Location()
	if !l.Queue() || l.Queue() {
		t.Error("not queued once")
	}
	l.Unqueue()
	if !l.Queue() {
		t.Error("not queued again")
	}
}

// After a change of the route, data to the old source does not bring that back before
// the peer can know our new address. After that it does: something on the path may
// let only the old address through. A handshake brings it back at once. (A52)
func TestSourceIsChosenAnew(t *testing.T) {
	const now = clock.Time(100 * time.Second)
	r := &Route{Found: true, Interface: 4}
	begin := func() *Peer {
		p := routed()
		p.SetEndpoint(receiveA)
		p.NoteSent(now-1, true)
		p.Reroute(now, p.Location(), r, 7)
		if l := p.Location(); p.Endpoint() != receiveA.Sourceless() || l.Route() != r || l.Checked() != 7 {
			t.Fatalf("%+v", p.Endpoint())
		}
		return p
	}
	p := begin()
	for _, d := range []time.Duration{0, avoidTime, time.Minute} {
		if p.Follow(now.Add(d), receiveA) || p.Endpoint().Source.IsValid() {
			t.Error("the old source came back before anything was sent from another one")
		}
	}
	p.NoteSent(now.Add(time.Minute), true)
	told := now.Add(time.Minute + time.Second)
	for _, d := range []time.Duration{0, time.Millisecond, avoidTime - 1} {
		if p.Follow(told.Add(d), receiveA) {
			t.Errorf("the old source came back after %v", d)
		}
	}
	if !p.Follow(told.Add(avoidTime), receiveA) || p.Endpoint().Source != sourceA {
		t.Error("the old source did not come back, though the peer knows no other")
	}

	p = begin()
	if !p.Follow(now, receiveB) || p.Endpoint().Source != sourceB {
		t.Error("another source was not taken up")
	}
	if !p.Follow(now, receiveA) {
		t.Error("after the peer has learned another one, what it uses counts")
	}
	p = begin()
	if !p.Follow(now, wire.NewEndpoint(remoteB, sourceA, 3)) {
		t.Error("the peer has moved")
	}
	p = begin()
	if !p.SetEndpoint(receiveA) || p.Endpoint().Source != sourceA {
		t.Error("a handshake did not bring the source back")
	}
	// What has moved meanwhile is left alone.
	p = routed()
	p.SetEndpoint(receiveA)
	l := p.Location()
	p.SetEndpoint(receiveB)
	if p.Reroute(now, l, r, 7); p.Endpoint().Source != sourceB {
		t.Error("a source was forgotten that nobody asked about")
	}
}

func TestFollowAllocatesNothing(t *testing.T) {
	p := routed()
	p.SetEndpoint(receiveA)
	if n := testing.AllocsPerRun(100, func() { p.Follow(1, receiveA); p.NeedsRoute(p.Location()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.Reroute(1, p.Location(), &Route{}, 0)
	if n := testing.AllocsPerRun(100, func() { p.Follow(1, receiveA) }); n != 0 {
		t.Errorf("%v allocations while a source is avoided", n)
	}
}
