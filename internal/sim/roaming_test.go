package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// A51, B13: when an end moves during a session, the other one follows with the
// next data packet, without a handshake.
func TestRoamingOnData(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	for i := range 10 {
		mover, other := n.Hosts[i%2], n.Hosts[1-i%2]
		mover.Move(fmt.Sprintf("203.0.113.%d", i+1))
		other.Got, mover.Got = nil, nil
		mover.Send(other, "moved")
		n.Run(time.Second)
		equal(t, "other", other.Payloads(), []string{"moved"})
		if got := other.Status(mover).Endpoint; got != mover.Addr() {
			t.Fatalf("move %d: the endpoint is %v, want %v", i, got, mover.Addr())
		}
		other.Send(mover, "found")
		n.Run(time.Second)
		equal(t, "mover", mover.Payloads(), []string{"found"})
	}
	if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got != 1 {
		t.Errorf("%d initiations, want 1", got)
	}
}

// A51, A53: the peer follows from IPv4 to IPv6 and back in the same session.
func TestRoamingBetweenFamilies(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.NewHost("192.0.2.1", "2001:db8::1"), n.NewHost("198.51.100.2", "2001:db8::2")
	Join(a, b)
	a.Up()
	b.Up()
	a.Send(b, "x")
	n.Run(time.Second)
	for i := range 4 {
		to := netip.AddrPortFrom(b.addresses[1-i%2], Port)
		a.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.Public(), Endpoint: &to}}})
		a.Send(b, "y")
		n.Run(time.Second)
		if got, want := b.Status(a).Endpoint.Addr(), a.addresses[1-i%2]; got != want {
			t.Errorf("b sends to %v, want %v", got, want)
		}
		b.Send(a, "z")
		n.Run(time.Second)
	}
	if len(a.Got) != 4 || len(b.Got) != 5 || len(a.SentOf(wire.TypeInitiation)) != 1 {
		t.Errorf("a got %d and b got %d packets, want 4 and 5 with one initiation", len(a.Got), len(b.Got))
	}
}

// A51: a replay from the old address of a peer that moved does not bring that
// address back.
func TestLatePacketsFromOldAddress(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	old := a.Addr()
	recorded := a.SentOf(wire.TypeData)[0].Data
	a.Move("203.0.113.1")
	a.Send(b, "y")
	n.Run(time.Second)
	n.Inject(old, b.Addr(), recorded)
	n.Run(time.Second)
	if got := b.Status(a).Endpoint; got != a.Addr() {
		t.Errorf("a replay moved the endpoint to %v", got)
	}
	if b.Drops.Count(dataplane.DropReplay) != 1 {
		t.Error("the replay was not counted")
	}
}

// A52: packets are sent from the address that received the peer's. If it no
// longer exists, they are sent from another one at once, and the peer follows;
// nothing is lost.
func TestSourceAddress(t *testing.T) {
	n := newChecked(t, 1)
	a := n.NewHost("192.0.2.1")
	server := n.NewHost("198.51.100.1", "198.51.100.2", "198.51.100.3")
	Join(a, server)
	a.Up()
	server.Up()
	second := netip.MustParseAddrPort("198.51.100.2:51820")
	a.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: server.Public(), Endpoint: &second}}})
	a.Send(server, "x")
	n.Run(time.Second)
	server.Send(a, "y")
	n.Run(time.Second)
	for _, d := range server.Sent {
		if d.From != second {
			t.Errorf("a %v was sent from %v, want %v", d.Type(), d.From, second)
		}
	}
	delete(n.nodes, server.addresses[1])
	server.addresses = []netip.Addr{server.addresses[0], server.addresses[2]}
	server.Send(a, "z")
	n.Run(time.Second)
	equal(t, "a", a.Payloads(), []string{"y", "z"})
	if got := a.Status(server).Endpoint; got != server.Addr() {
		t.Errorf("a sends to %v, want %v", got, server.Addr())
	}
	if end := server.Peer(a).Endpoint(); end.Source.IsValid() && end.Source != server.addresses[0] {
		t.Errorf("the server still uses the source %v", end.Source)
	}
	// A new mark may mean another route, and so another source.
	a.Send(server, "back")
	n.Run(time.Second)
	mark := uint32(5)
	server.Must(conf.Change{FirewallMark: &mark})
	if end := server.Peer(a).Endpoint(); end.Source.IsValid() {
		t.Errorf("after a new mark the server still uses the source %v", end.Source)
	}
}

// A51, A41: behind a NAT whose mappings expire after 2 s, the server always
// reaches a client with a persistent keepalive of 1 s. Without one, it does so
// after the client has sent something, at the new mapping.
func TestNAT(t *testing.T) {
	n := newChecked(t, 1)
	nat := n.NewNAT("198.51.100.1", 2*time.Second)
	client, server := n.NewHostBehind(nat, "192.168.0.2"), n.NewHost("192.0.2.1")
	Join(client, server)
	client.Up()
	server.Up()
	client.Send(server, "x")
	n.Run(time.Second)
	server.Send(client, "in time")
	n.Run(10 * time.Second)
	server.Send(client, "late")
	n.Run(time.Second)
	equal(t, "client", client.Payloads(), []string{"in time"})
	client.Send(server, "y")
	n.Run(100 * time.Millisecond)
	server.Send(client, "found")
	n.Run(time.Second)
	equal(t, "client", client.Payloads(), []string{"in time", "found"})

	client.Got = nil
	persist(client, server, 1)
	for i := range 300 {
		n.Run(10 * time.Second)
		if i%50 == 49 {
			nat.Forget()
			n.Run(2500 * time.Millisecond)
		}
		server.Send(client, fmt.Sprint(i))
	}
	n.Run(time.Second)
	equal(t, "client", client.Payloads(), numbers(0, 300))
}

// B35, A51: after its NAT was restarted, a client cannot be reached until it
// sends something itself; then the server follows to the new mapping.
func TestNATForgets(t *testing.T) {
	n := newChecked(t, 1)
	nat := n.NewNAT("198.51.100.1", time.Hour)
	client, server := n.NewHostBehind(nat, "192.168.0.2"), n.NewHost("192.0.2.1")
	Join(client, server)
	client.Up()
	server.Up()
	client.Send(server, "x")
	n.Run(20 * time.Second)
	nat.Forget()
	n.Every(time.Second, func() bool { server.Send(client, "down"); return n.Now() < time.Minute })
	client.Send(server, "up")
	n.Run(2 * time.Second)
	if len(client.Got) == 0 {
		t.Error("the client has sent a packet and is not reached")
	}
}

// A54, A51: an IPv4-mapped endpoint is treated as IPv4.
func TestMappedEndpoint(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	mapped := netip.AddrPortFrom(netip.AddrFrom16(b.Addr().Addr().As16()), Port)
	a.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.Public(), Endpoint: &mapped}}})
	a.Send(b, "x")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
	if got := a.Status(b).Endpoint; got != b.Addr() {
		t.Errorf("the endpoint is shown as %v, want %v", got, b.Addr())
	}
}

// B63, A63: while a name is resolved again, the tunnel continues with its
// current endpoint, also across rekeys, and a late answer loses no packet.
// (There is no resolver here: an answer is a change of the endpoint.)
func TestEndpointSetLate(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	sent := 0
	n.Every(100*time.Millisecond, func() bool {
		a.Send(b, fmt.Sprint(sent))
		b.Send(a, fmt.Sprint(sent))
		sent++
		return n.Now() < 5*time.Minute
	})
	n.Every(30*time.Second, func() bool { // an answer that took half a minute
		end := b.Addr()
		a.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.Public(), Endpoint: &end}}})
		return true
	})
	n.Run(5*time.Minute + time.Second)
	equal(t, "a", a.Payloads(), numbers(0, sent))
	equal(t, "b", b.Payloads(), numbers(0, sent))
	if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got > 4 {
		t.Errorf("%d initiations in 5 minutes, want at most 4", got)
	}
}

// A46: over a link with a small MTU, datagrams are fragmented. If fragments are
// lost, only long packets are lost.
func TestNarrowPath(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Shared.MTU.Store(9000)
	n.Default.MTU = 1280
	a.Send(b, string(make([]byte, 8900)))
	n.Run(time.Second)
	if len(b.Got) != 1 || len(b.Got[0].Payload) != 8900 {
		t.Fatalf("with fragments: %d packets arrived, want one of 8900 bytes", len(b.Got))
	}
	n.Default.NoFragments = true
	a.Send(b, string(make([]byte, 8900)))
	a.Send(b, "short")
	n.Run(time.Second)
	if len(b.Got) != 2 {
		t.Errorf("without fragments: %d packets arrived, want only the short one more", len(b.Got)-1)
	}
}

// A56: a congestion mark on the outer packet is copied to the inner one if that
// is ECN-capable.
func TestCongestion(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.Default.Congested = true
	for ecn := range byte(4) {
		a.Give(Inner(a.Inner4, b.Inner4, []byte("x"), ecn), Inner(a.Inner6, b.Inner6, []byte("x"), ecn))
	}
	n.Run(time.Second)
	want := []byte{0, 0, 3, 3, 3, 3, 3, 3}
	if len(b.Got) != len(want) {
		t.Fatalf("%d packets, want %d", len(b.Got), len(want))
	}
	for i, p := range b.Got {
		if p.ECN != want[i] {
			t.Errorf("packet %d has ECN %d, want %d", i, p.ECN, want[i])
		}
	}
}
