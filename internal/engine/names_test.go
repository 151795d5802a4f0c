package engine

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/resolve/dns/dnstest"
	"wgd/internal/sys/udp/udptest"
)

// namedPair returns two sites that are up. Site a knows b by the name b.example only, and
// asks the server about it.
func namedPair(t *testing.T) (server *dnstest.Server, a, b *site) {
	t.Helper()
	server = dnstest.Start(t)
	files := server.Files(t)
	net := udptest.NewNet()
	a = newSite(t, net, 1, func(w *World) { w.Names = files })
	b = newSite(t, net, 2)
	b.apply(peers(a.asPeer()))
	a.up()
	b.up()
	return server, a, b
}

// byName returns b as a peer with a name instead of an address.
func (s *site) byName() conf.PeerChange {
	p := s.asPeer()
	name := netip.AddrPortFrom(netip.IPv4Unspecified(), s.Status().ListenPort).String()
	name = strings.Replace(name, "0.0.0.0", "b.example", 1)
	p.Endpoint, p.EndpointName = nil, &name
	return p
}

// awaitEndpoint waits until the peer's endpoint has the address.
func (s *site) awaitEndpoint(peer *site, want netip.Addr) {
	s.t.Helper()
	eventually(s.t, "the endpoint is "+want.String(), func() bool { return s.status(peer).Endpoint.Addr() == want })
}

// The address of the name is the endpoint. The name is in the status beside it.
func TestEndpointByName(t *testing.T) {
	server, a, b := namedPair(t)
	server.SetAddrs("b.example", 3600, b.outer.String())
	a.apply(peers(b.byName()))
	a.awaitEndpoint(b, b.outer)
	a.deliver(b, "by name")
	st := a.status(b)
	if st.Endpoint != b.addr() || st.EndpointName != *b.byName().EndpointName || st.EndpointFailure != "" {
		t.Errorf("status: %+v", st)
	}
}

// No packet and no command waits for a name server that does not answer; the failure is
// in the status, and the lookup is repeated until it succeeds. A63, B63
func TestLookupFails(t *testing.T) {
	server, a, b := namedPair(t)
	began := time.Now()
	a.apply(peers(b.byName()))
	eventually(t, "the status has the failure", func() bool { return strings.Contains(a.status(b).EndpointFailure, "b.example") })
	if st := a.status(b); st.Endpoint.IsValid() {
		t.Errorf("endpoint %v after %v, want none", st.Endpoint, time.Since(began))
	}
	server.SetAddrs("b.example", 3600, b.outer.String())
	a.awaitEndpoint(b, b.outer)
	a.deliver(b, "found at last")
	if st := a.status(b); st.EndpointFailure != "" {
		t.Errorf("the name is known, but the status has the failure %q", st.EndpointFailure)
	}
}

// When nothing comes back, the name is looked up again, although its TTL has not passed,
// and the new address is used.
func TestSilentPeerHasMoved(t *testing.T) {
	server, a, b := namedPair(t)
	server.SetAddrs("b.example", 3600, "192.0.2.77")
	a.apply(peers(b.byName()))
	a.awaitEndpoint(b, netip.MustParseAddr("192.0.2.77"))
	a.inject(b, "into the void")
	eventually(t, "a handshake is tried", func() bool { return a.status(b).TxBytes > 0 })
	server.SetAddrs("b.example", 3600, b.outer.String())
	a.sleep(6 * time.Second) // the handshake is not answered
	a.awaitEndpoint(b, b.outer)
	a.sleep(6 * time.Second)
	b.await("into the void")
}

// A change of a default route makes the names be looked up again; one of another route
// does not.
func TestNetworkChangeLooksUp(t *testing.T) {
	server, a, b := namedPair(t)
	server.SetAddrs("b.example", 3600, b.outer.String())
	a.apply(peers(b.byName()))
	a.awaitEndpoint(b, b.outer)
	asked := server.Asked("b.example")
	a.sleep(2 * time.Second)
	a.RoutesChanged(netip.MustParsePrefix("10.0.0.0/8"))
	time.Sleep(50 * time.Millisecond)
	if n := server.Asked("b.example"); n != asked {
		t.Errorf("%d questions because of another route", n-asked)
	}
	a.RoutesChanged(netip.MustParsePrefix("0.0.0.0/0"))
	eventually(t, "the name is looked up", func() bool { return server.Asked("b.example") > asked })
}

// While the interface is down, a name is looked up once, and again when it is up.
func TestNamesWhileDown(t *testing.T) {
	server, a, b := namedPair(t)
	server.SetAddrs("b.example", 1, b.outer.String())
	a.Down()
	a.apply(peers(b.byName()))
	a.awaitEndpoint(b, b.outer)
	asked := server.Asked("b.example")
	a.sleep(10 * time.Second)
	a.RoutesChanged(netip.MustParsePrefix("0.0.0.0/0"))
	time.Sleep(100 * time.Millisecond)
	if n := server.Asked("b.example"); n != asked {
		t.Errorf("%d questions while the interface was down", n-asked)
	}
	a.up()
	eventually(t, "the name is looked up again", func() bool { return server.Asked("b.example") > asked })
	a.deliver(b, "up")
}

// Before the interface is up for the first time, a name is looked up once.
func TestNamesBeforeUp(t *testing.T) {
	server := dnstest.Start(t)
	files := server.Files(t)
	net := udptest.NewNet()
	a, b := newSite(t, net, 1, func(w *World) { w.Names = files }), newSite(t, net, 2)
	server.SetAddrs("b.example", 1, b.outer.String())
	p, name := b.asPeer(), "b.example:51820"
	p.Endpoint, p.EndpointName = nil, &name
	a.apply(peers(p))
	a.awaitEndpoint(b, b.outer)
	asked := server.Asked("b.example")
	a.sleep(10 * time.Second)
	a.RoutesChanged(netip.MustParsePrefix("0.0.0.0/0"))
	time.Sleep(100 * time.Millisecond)
	if n := server.Asked("b.example"); n != asked {
		t.Errorf("%d questions while the interface was not up", n-asked)
	}
}
