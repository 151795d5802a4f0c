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

// Datagrams are always sent from the address that received. The interface that
// received is used only for link-local addresses and for pinned routes. (A52)
func TestInterfaceOfTheEndpoint(t *testing.T) {
	p := routed()
	p.SetEndpoint(receiveA)
	if e := p.Endpoint(); e.Source != sourceA || e.SourceIndex != 0 || p.Location().Received() != receiveA {
		t.Errorf("while the route is not known, the endpoint is %+v", e)
	}
	p.Location().SetRoute(&Route{Found: true, Interface: 9}, 0)
	if e := p.Endpoint(); e.SourceIndex != 0 {
		t.Errorf("while the route is not pinned, the endpoint is %+v", e)
	}
	p.Location().SetRoute(&Route{Found: true, Interface: 9, Pinned: true}, 0)
	if p.Endpoint() != receiveA {
		t.Errorf("while the route is pinned, the endpoint is %+v, want %+v", p.Endpoint(), receiveA)
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
			t.Errorf("the link-local endpoint is %+v, want %+v", p.Endpoint(), local)
		}
	}
}

// A route must be looked up if it is not known or may have changed, and only then.
// (A52)
func TestNeedsRoute(t *testing.T) {
	p := newPeer()
	p.SetEndpoint(receiveA)
	if p.NeedsRoute(p.Location()) {
		t.Error("a lookup is needed though routes are not followed")
	}
	p = routed()
	if p.NeedsRoute(p.Location()) {
		t.Error("a lookup is needed without an endpoint")
	}
	p.SetEndpoint(receiveA)
	l := p.Location()
	if !p.NeedsRoute(l) {
		t.Error("no lookup is needed though the route is not known")
	}
	r := &Route{Found: true}
	l.SetRoute(r, 0)
	if p.NeedsRoute(l) {
		t.Error("a lookup is needed though the route is known")
	}
	p.common.SetChanges(p.common.Changes().After(netip.MustParsePrefix("198.51.100.0/24")))
	if p.NeedsRoute(l) || l.Checked() != 1 {
		t.Error("a lookup is needed after a change elsewhere")
	}
	p.common.SetChanges(p.common.Changes().After(netip.MustParsePrefix("192.0.2.0/24")))
	for range 2 {
		if !p.NeedsRoute(l) {
			t.Error("no lookup is needed after a change of the route")
		}
	}
	l.SetRoute(r, 2)
	if p.NeedsRoute(l) {
		t.Error("a lookup is needed again after the lookup")
	}
	// Without its source, the route stays known; another remote has another route.
	p.ForgetSource(receiveA)
	if l := p.Location(); l.Route() != r || p.NeedsRoute(l) {
		t.Error("the route was forgotten with the source")
	}
	p.SetEndpoint(wire.NewEndpoint(remoteB, sourceA, 3))
	if !p.NeedsRoute(p.Location()) {
		t.Error("no lookup is needed for another remote address")
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
		t.Error("Queue did not return true, then false")
	}
	l.Unqueue()
	if !l.Queue() {
		t.Error("Queue returned false after Unqueue")
	}
}

// After a change of the route, data to the old source does not restore that until
// the peer can know our new address. Then it does: something on the path may let
// only the old address pass. A handshake restores it at once. (A52)
func TestSourceIsChosenAnew(t *testing.T) {
	const now = clock.Time(100 * time.Second)
	r := &Route{Found: true, Interface: 4}
	begin := func() *Peer {
		p := routed()
		p.SetEndpoint(receiveA)
		p.NoteSent(now-1, true)
		p.Reroute(now, p.Location(), r, 7)
		if l := p.Location(); p.Endpoint() != receiveA.Sourceless() || l.Route() != r || l.Checked() != 7 {
			t.Fatalf("after Reroute, the endpoint is %+v", p.Endpoint())
		}
		return p
	}
	p := begin()
	for _, d := range []time.Duration{0, avoidTime, time.Minute} {
		if p.Follow(now.Add(d), receiveA) || p.Endpoint().Source.IsValid() {
			t.Error("the old source was restored before a packet was sent from another one")
		}
	}
	p.NoteSent(now.Add(time.Minute), true)
	told := now.Add(time.Minute + time.Second)
	for _, d := range []time.Duration{0, time.Millisecond, avoidTime - 1} {
		if p.Follow(told.Add(d), receiveA) {
			t.Errorf("the old source was restored after %v, want %v", d, avoidTime)
		}
	}
	if !p.Follow(told.Add(avoidTime), receiveA) || p.Endpoint().Source != sourceA {
		t.Error("the old source was not restored though the peer sends to no other")
	}

	p = begin()
	if !p.Follow(now, receiveB) || p.Endpoint().Source != sourceB {
		t.Error("a new source was not used")
	}
	if !p.Follow(now, receiveA) {
		t.Error("the old source was not restored after the peer had used a new one")
	}
	p = begin()
	if !p.Follow(now, wire.NewEndpoint(remoteB, sourceA, 3)) {
		t.Error("the endpoint did not follow the peer")
	}
	p = begin()
	if !p.SetEndpoint(receiveA) || p.Endpoint().Source != sourceA {
		t.Error("a handshake did not restore the source")
	}
	// Reroute does not change a Location that was replaced meanwhile.
	p = routed()
	p.SetEndpoint(receiveA)
	l := p.Location()
	p.SetEndpoint(receiveB)
	if p.Reroute(now, l, r, 7); p.Endpoint().Source != sourceB {
		t.Error("Reroute forgot the source of another Location")
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
