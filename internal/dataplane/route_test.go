package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// If the route to an endpoint leads into a tunnel, nothing is fragmented. A
// packet whose datagram does not fit into that tunnel is answered with "packet
// too big"; if it is itself a datagram of a tunnel, it counts as a loop (A46).
func TestRouteIntoATunnel(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		mtu      int
		limit    int // of inner packets
	}{
		{"192.0.2.2:7", 1420, 1420 - 60},
		{"[fd01::2]:7", 1420, 1420 - 80},
		{"[fd01::2]:7", 9000, 9000 - 80},
		{"192.0.2.2:7", 0, batch.MaxDatagram4 - 32},
		{"[fd01::2]:7", 65535, 65535 - 80},
		{"192.0.2.2:7", 20, 0},
	} {
		a, _ := pair(t)
		a.MTU.Store(65535)
		a.peer.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(c.endpoint), netip.Addr{}, 0))
		a.send(start, frame(udpPacket(addrA, addrB, 100)))
		if trains := a.udp.take(); len(trains) != 1 || trains[0].DontFragment {
			t.Fatalf("%+v: fragmentation is forbidden before the route is known: %+v", c, trains)
		}
		a.peer.Location().SetRoute(&peer.Route{Found: true, Tunnel: true, MTU: c.mtu}, 0)
		if c.limit >= 100 {
			a.send(start, frame(udpPacket(addrA, addrB, c.limit)))
			if trains := a.udp.take(); len(trains) != 1 || !trains[0].DontFragment {
				t.Errorf("%+v: the longest packet: %d trains, want 1 that must not be fragmented", c, len(trains))
			}
		}
		a.wantDrops(nil)
		a.tun.take()
		a.send(start, frame(udpPacket(addrA, addrB, max(c.limit, 99)+1)))
		got := a.tun.take()
		if len(got) != 1 || got[0][10+20] != 3 || got[0][10+21] != 4 || int(binary.BigEndian.Uint16(got[0][10+26:])) != min(c.limit, 65535) {
			t.Errorf("%+v: no \"packet too big\" with the limit: % x", c, got)
		}
		a.wantDrops(map[Drop]uint64{DropTooBig: 1})
		nested := udpPacket(addrA, addrB, max(c.limit, 99)+1)
		nested[28] = 4
		a.send(start, frame(nested))
		a.wantDrops(map[Drop]uint64{DropTooBig: 1, DropLoop: 1})
		if trains := a.udp.take(); len(trains) != 0 {
			t.Errorf("%+v: %d trains, want none", c, len(trains))
		}
	}
}

// The same holds while the route is looked up for another source (A46).
func TestRouteIntoATunnelFromAnotherSource(t *testing.T) {
	a, _ := pair(t)
	a.MTU.Store(65535)
	remote := netip.MustParseAddrPort("192.0.2.2:7")
	a.peer.SetEndpoint(wire.NewEndpoint(remote, netip.Addr{}, 0))
	a.peer.Location().SetRoute(&peer.Route{Found: true, Tunnel: true, MTU: 1420}, 0)
	a.peer.SetEndpoint(wire.NewEndpoint(remote, netip.MustParseAddr("192.0.2.9"), 3))
	if a.peer.Location().Route() != nil {
		t.Fatal("the route is known: the test needs a source whose route is unknown")
	}
	a.send(start, frame(udpPacket(addrA, addrB, 100)))
	if trains := a.udp.take(); len(trains) != 1 || !trains[0].DontFragment || !a.peer.Location().IntoTunnel() {
		t.Errorf("sent %+v, want 1 train that must not be fragmented", trains)
	}
}

// A route that does not lead into a tunnel has no effect, whatever the MTU.
func TestRouteIntoNoTunnel(t *testing.T) {
	a, _ := pair(t)
	a.MTU.Store(9000)
	a.peer.Location().SetRoute(&peer.Route{Found: true, MTU: 1280}, 0)
	a.send(start, frame(udpPacket(addrA, addrB, 9000)))
	if trains := a.udp.take(); len(trains) != 1 || trains[0].DontFragment {
		t.Errorf("sent %+v, want 1 train that may be fragmented", trains)
	}
}

// The route is requested once for each batch to a peer while it is unknown or may
// have changed (A52).
func TestRouteIsRequested(t *testing.T) {
	a, _ := pair(t)
	requests := func() (n int) { n, a.notes.routes = a.notes.routes, 0; return n }
	a.send(start, small(10)...)
	if n := requests(); n != 0 {
		t.Errorf("%d requests, but routes are not followed", n)
	}
	a.common.SetChanges(&peer.Changes{})
	a.send(start, small(10)...)
	a.enc.Keepalive(a.sealing, start, a.peer)
	if n := requests(); n != 2 {
		t.Errorf("%d requests for a batch and a keepalive", n)
	}
	a.peer.Location().SetRoute(&peer.Route{Found: true}, 0)
	a.send(start, small(10)...)
	if n := requests(); n != 0 {
		t.Errorf("%d requests, but the route is known", n)
	}
	a.common.SetChanges(a.common.Changes().After(netip.MustParsePrefix("192.0.2.0/24")))
	a.send(start, small(2)...)
	if n := requests(); n != 1 {
		t.Errorf("%d requests for a batch after a change", n)
	}
}
