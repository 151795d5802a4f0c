package core

import (
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// A moving is a client whose datagrams reach one of two gateways with the same private
// key: the one that has the address.
type moving struct {
	*wanting
	other *host // has the subscriber
}

// newMoving returns a client that has a session with the first gateway, while its
// datagrams reach the other one.
func newMoving(t *testing.T) *moving {
	m := &moving{wanting: newWanting(t)}
	m.bring()
	m.other = m.host()
	m.other.private, m.other.public = m.gateway.private, m.gateway.public
	m.other.apply(conf.Change{PrivateKey: &m.other.private})
	m.other.up()
	m.subscriber = m.other.unknown.Subscribe()
	m.client.send(m.gateway, "first")
	m.run(time.Second)
	if !slices.Equal(m.gateway.got, []string{"first"}) {
		t.Fatalf("the first gateway has received %q", m.gateway.got)
	}
	m.move()
	return m
}

// move gives the address of one gateway to the other one.
func (m *moving) move() { m.gateway.addr, m.other.addr = m.other.addr, m.gateway.addr }

// take adds the client to the other gateway, with a handshake.
func (m *moving) take(c conf.PeerChange) {
	c.PublicKey, c.Endpoint, c.Initiate = m.client.public, &m.client.addr, true
	m.other.apply(conf.Change{Peers: []conf.PeerChange{c}})
}

func (m *moving) wantSession(t *testing.T, when string) {
	t.Helper()
	want := conf.Want{Kind: conf.UnknownSession, Endpoint: m.client.addr}
	if got := m.wants(); !slices.Equal(got, []conf.Want{want}) {
		t.Fatalf("%s: wants %+v, want %+v", when, got, want)
	}
}

// Data for a session of another gateway is reported once. When the peer is added, the
// gateway initiates, from the address to which the data was sent (A52), and what the
// client sends then arrives.
func TestDataForAnotherGateway(t *testing.T) {
	m := newMoving(t)
	m.client.send(m.gateway, "lost")
	m.client.send(m.gateway, "lost too")
	m.run(50 * time.Millisecond)
	m.wantSession(t, "data")
	if len(m.other.sent) != 0 {
		t.Fatal("unknown data is answered") // A5
	}
	m.take(conf.PeerChange{})
	if source := m.other.peer(m.client).Endpoint().Source; source != m.other.addr.Addr() {
		t.Errorf("the peer is reached from %v, want %v", source, m.other.addr.Addr())
	}
	m.run(100 * time.Millisecond)
	m.client.send(m.gateway, "second")
	m.run(100 * time.Millisecond)
	if !slices.Equal(m.other.got, []string{"second"}) || m.other.sentOf(wire.TypeInitiation) != 1 {
		t.Errorf("received %q after %d initiations", m.other.got, m.other.sentOf(wire.TypeInitiation))
	}
	if got := m.wants(); len(got) != 0 {
		t.Errorf("reported although the peer was added: %+v", got)
	}
}

// A peer that moved away and came back has no use for the session that this gateway still
// has with it: a new one is made, because data for no session came from its endpoint.
func TestDataForAnotherGatewayInSpiteOfASession(t *testing.T) {
	m := newMoving(t)
	for _, s := range []string{"to the other", "to the first", "to the other again"} {
		g := m.other
		if s == "to the first" {
			g = m.gateway
		}
		m.subscriber = g.unknown.Subscribe()
		m.client.send(m.gateway, s)
		m.run(50 * time.Millisecond)
		m.wantSession(t, s)
		before := g.sentOf(wire.TypeInitiation)
		g.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: m.client.public, Endpoint: &m.client.addr, Initiate: true}}})
		m.run(100 * time.Millisecond)
		m.client.send(m.gateway, s)
		m.run(20 * time.Second)
		if n := g.sentOf(wire.TypeInitiation) - before; n != 1 || g.got[len(g.got)-1] != s {
			t.Fatalf("%s: received %q, after %d initiations", s, g.got, n)
		}
		g.unknown.Unsubscribe(m.subscriber)
		m.move()
	}
}

// A session that works is not replaced, and a peer without endpoint is left alone; so is
// one of an interface that is down.
func TestInitiateOnlyIfNeeded(t *testing.T) {
	g := newWanting(t)
	initiate := conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, Initiate: true}}}
	g.gateway.apply(initiate)
	g.run(time.Second)
	if n := len(g.gateway.sent); n != 0 {
		t.Fatalf("%d messages without an endpoint", n)
	}
	initiate.Peers[0].Endpoint = &g.client.addr
	g.gateway.down()
	g.gateway.apply(initiate)
	g.gateway.up()
	g.run(time.Second)
	if n := len(g.gateway.sent); n != 0 {
		t.Fatalf("%d messages for a wish while the interface was down", n)
	}
	for range 3 {
		g.gateway.apply(initiate)
		g.run(6 * time.Second)
	}
	if n := g.gateway.sentOf(wire.TypeInitiation); n != 1 || len(g.gateway.events) != 2 {
		t.Errorf("%d initiations for one session: %v", n, g.gateway.events)
	}
}

// However often a handshake is wanted, there is one initiation in 5 seconds, and an
// endpoint that was set is not reported meanwhile. Nobody answers, and in the end it is
// given up.
func TestInitiateIsBounded(t *testing.T) {
	m := newMoving(t)
	m.lost = func(from, _ *host, _ []byte) bool { return from == m.other }
	reported := 0
	for range 200 {
		m.client.send(m.gateway, "lost")
		m.run(100 * time.Millisecond)
		reported += len(m.wants())
		m.take(conf.PeerChange{})
	}
	// The client begins a handshake of its own after 15 seconds.
	if n := m.other.sentOf(wire.TypeInitiation); n < 3 || n > 4 {
		t.Errorf("%d initiations in 20 seconds", n)
	}
	if reported > 4 {
		t.Errorf("%d wants in 20 seconds", reported)
	}
	m.run(3 * time.Minute)
	if m.other.member(m.client).own != nil {
		t.Error("the handshake is never given up")
	}
}

// A refused endpoint is not reported for as long as the refusal says, and one that nobody
// answers for a minute.
func TestRefusedEndpoint(t *testing.T) {
	m := newMoving(t)
	m.client.send(m.gateway, "lost")
	m.run(50 * time.Millisecond)
	m.wantSession(t, "data")
	m.other.unknown.Refuse(m.now, conf.Refusal{Endpoint: m.client.addr, For: 3 * time.Second})
	again := func() []conf.Want {
		m.client.send(m.gateway, "lost")
		m.run(50 * time.Millisecond)
		return m.wants()
	}
	if got := again(); len(got) != 0 {
		t.Errorf("after a refusal: %+v", got)
	}
	m.run(3 * time.Second)
	if got := again(); len(got) != 1 {
		t.Errorf("after its end: %+v", got)
	}
	m.run(5 * time.Second)
	if got := again(); len(got) != 0 {
		t.Errorf("within a minute: %+v", got)
	}
}

// An initiation with a stamp that another gateway has received already is a replay, also
// if it was kept until the peer was added (A18). A greater stamp is accepted, and a smaller
// one changes nothing.
func TestStampOfAnotherGateway(t *testing.T) {
	m := newMoving(t)
	received := conf.Stamp(m.gateway.accepted[m.client.public])
	if got := m.gateway.status(m.client).Stamp; got != received || got.IsZero() {
		t.Errorf("the status has the stamp %v, want %v", got, received)
	}
	for _, s := range m.client.sent {
		if s.kind == wire.TypeInitiation {
			m.other.receive(m.client.addr, s.msg)
		}
	}
	m.run(100 * time.Millisecond)
	if got := m.wants(); len(got) != 1 || got[0].Kind != conf.UnknownPeerKey {
		t.Fatalf("wants %+v", got)
	}
	m.other.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: m.client.public, Stamp: &received}}})
	m.run(time.Second)
	if n := len(m.other.sent); n != 0 {
		t.Errorf("%d messages for a replay", n)
	}
	if got := conf.Stamp(m.other.accepted[m.client.public]); got != received {
		t.Errorf("the stamp %v is kept for a restart, want %v", got, received)
	}
	smaller := conf.Stamp{1}
	m.other.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: m.client.public, Stamp: &smaller}}})
	if got := m.other.status(m.client).Stamp; got != received {
		t.Errorf("after a smaller one, the stamp is %v, want %v", got, received)
	}
	m.gateway.down()        // or its keepalive would show the client its new address (A51)
	m.run(20 * time.Second) // the client initiates, because nothing comes back (B31)
	m.client.send(m.gateway, "second")
	m.run(time.Second)
	if m.other.sentOf(wire.TypeResponse) != 1 || !slices.Equal(m.other.got, []string{"second"}) {
		t.Errorf("received %q", m.other.got)
	}
	if got := m.other.status(m.client).Stamp; got.Compare(received) <= 0 {
		t.Errorf("the stamp of a new initiation is %v", got)
	}
}
