package dataplane

import (
	"net/netip"
	"testing"

	"wgd/internal/peer"
)

// The route is requested once for each batch to a peer, as long as it is not known or
// may have changed. (A52)
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
