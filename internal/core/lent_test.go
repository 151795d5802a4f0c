package core

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// lend adds the client to the gateway for some seconds, with what c says.
func (g *wanting) lend(seconds uint32, c conf.PeerChange) {
	c.PublicKey, c.Lent = g.client.public, &seconds
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{c}})
}

// gone checks that nothing is left of the client.
func (g *wanting) gone(t *testing.T, when string) {
	t.Helper()
	h := g.gateway
	if len(h.m.Peers()) != 0 || h.index.Len() != 0 || len(h.m.looks) != 0 || len(h.m.lent) != 0 || len(h.m.names) != 0 {
		t.Errorf("%s: %d peers, %d indices, %d looks, %d lent, %d names", when, len(h.m.Peers()), h.index.Len(), len(h.m.looks), len(h.m.lent), len(h.m.names))
	}
	if _, ok := h.accepted[g.client.public]; ok {
		t.Errorf("%s: the stamp is kept for a restart", when)
	}
	if _, ok := h.m.Routes().Load().Lookup(netip.MustParseAddr("10.0.0.7")); ok {
		t.Errorf("%s: the allowed IPs are still there", when)
	}
}

var sevens = []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.0.0.7/32")}}

// A lent peer leaves when it has had no session and sent nothing for as long as it was
// lent, and its last stamp is told. Nothing of it is left, neither its keys nor its preshared
// key; added again, it works at once, with the stamp and the preshared key of then.
func TestLentPeerLeaves(t *testing.T) {
	g := newWanting(t)
	name, secret := "client", key.NewPreshared(&[32]byte{1})
	g.client.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.gateway.public, PresharedKey: &secret}}})
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	g.wants()
	g.lend(60, conf.PeerChange{Name: &name, PresharedKey: &secret, AllowedIPs: sevens})
	g.run(time.Second)
	if !slices.Equal(g.gateway.got, []string{"first"}) {
		t.Fatalf("received %q", g.gateway.got)
	}
	began, stamp := g.gateway.member(g.client).lastSession, g.gateway.status(g.client).Stamp
	g.gateway.events = nil
	g.run(239*time.Second - g.now.Sub(began))
	if len(g.gateway.m.Peers()) != 1 {
		t.Fatalf("it has left less than 60 seconds after the end of its session: %v", g.gateway.events)
	}
	g.run(2 * time.Second)
	g.gone(t, "after 240 seconds")
	want := "client: the peer was lent, and is removed: it had no session and sent nothing for as long as it was lent"
	if e := g.gateway.events; len(e) != 2 || !strings.Contains(e[0], "session has ended") || e[1] != want {
		t.Errorf("events %q", e)
	}
	if g.gateway.returned != stamp || stamp.IsZero() {
		t.Errorf("told the stamp %v, want %v", g.gateway.returned, stamp)
	}
	g.client.send(g.gateway, "second")
	g.run(50 * time.Millisecond)
	if got := g.wants(); len(got) != 1 || got[0].Kind != conf.UnknownPeerKey {
		t.Fatalf("wants %+v", got)
	}
	g.lend(60, conf.PeerChange{Stamp: &stamp})
	g.run(time.Second)
	if len(g.gateway.got) != 1 {
		t.Error("the preshared key of before is used")
	}
	g.lend(60, conf.PeerChange{PresharedKey: &secret})
	g.run(10 * time.Second)
	if !slices.Equal(g.gateway.got, []string{"first", "second"}) {
		t.Errorf("received %q", g.gateway.got)
	}
}

// A handshake that fails does not keep a lent peer for ever, however often it is tried: a
// persistent keepalive and packets of ours are no traffic of its.
func TestFailedHandshakeKeepsNoLentPeer(t *testing.T) {
	g := newWanting(t)
	g.lost = func(from, _ *host, _ []byte) bool { return from == g.gateway }
	keepalive := uint16(5)
	g.lend(30, conf.PeerChange{Endpoint: &g.client.addr, Initiate: true, PersistentKeepalive: &keepalive, AllowedIPs: sevens})
	for range 29 {
		g.gateway.send(g.client, "packet")
		g.run(time.Second)
	}
	if len(g.gateway.m.Peers()) != 1 || g.gateway.sentOf(wire.TypeInitiation) < 5 {
		t.Fatalf("%d peers, %d initiations", len(g.gateway.m.Peers()), g.gateway.sentOf(wire.TypeInitiation))
	}
	g.run(1100 * time.Millisecond)
	g.gone(t, "after 30 seconds")
}

// Traffic keeps a lent peer, and so does a set; a set with 0 lets it stay. A peer that was
// never lent stays. Time during which the interface is down does not count.
func TestLentPeerStays(t *testing.T) {
	g := newWanting(t)
	g.lend(10, conf.PeerChange{AllowedIPs: sevens})
	for i := range 40 {
		g.client.send(g.gateway, fmt.Sprint(i))
		g.run(30 * time.Second)
	}
	if n := len(g.gateway.got); n != 40 {
		t.Fatalf("%d of 40 packets arrived", n)
	}
	g.lost = func(_, _ *host, _ []byte) bool { return true }
	g.run(150 * time.Second) // from the last packet, with its session, to its end
	for range 10 {
		g.lend(10, conf.PeerChange{})
		g.run(9 * time.Second)
	}
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, AllowedIPs: sevens}}})
	g.gateway.down()
	g.run(time.Hour)
	if len(g.gateway.m.Peers()) != 1 {
		t.Fatal("it has left while the interface was down")
	}
	g.gateway.up()
	g.run(9 * time.Second)
	if st := g.gateway.status(g.client); st.Lent != 10 {
		t.Errorf("lent for %d seconds", st.Lent)
	}
	g.lend(0, conf.PeerChange{})
	g.run(time.Hour)
	if st := g.gateway.status(g.client); st.Lent != 0 || len(st.AllowedIPs) != 1 || len(g.gateway.m.lent) != 0 {
		t.Errorf("the status is %+v", st)
	}
}

// If there are more lent peers than the limit, those leave first that have sent nothing for
// longest, whatever the order in which they came. Others do not count.
func TestLentLimit(t *testing.T) {
	w := newWorld(t, 1)
	g := w.host()
	g.up()
	limit, hour := uint32(4), uint32(3600)
	g.apply(conf.Change{LentLimit: &limit, Peers: []conf.PeerChange{{PublicKey: key.Public{31: 200}}, {PublicKey: key.Public{31: 201}}}})
	if g.m.Status(g.time()).LentLimit != 4 {
		t.Error("the status does not have the limit")
	}
	var clients []*host
	add := func() {
		c := w.host()
		c.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.public, Endpoint: &g.addr}}})
		c.up()
		clients = append(clients, c)
		g.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: c.public, Lent: &hour}}})
		c.send(g, "x")
		w.run(time.Second)
	}
	there := func() (list []int) {
		for i, c := range clients {
			if g.m.members[c.public] != nil {
				list = append(list, i)
			}
		}
		return list
	}
	for range 4 {
		add()
	}
	clients[0].send(g, "x")
	w.run(time.Second)
	clients[2].send(g, "x")
	w.run(time.Second)
	add()
	if got := there(); !slices.Equal(got, []int{0, 2, 3, 4}) {
		t.Errorf("%v are there, 1 was idle longest", got)
	}
	g.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: clients[3].public, Lent: &hour}}})
	w.run(time.Second)
	add()
	if got := there(); !slices.Equal(got, []int{2, 3, 4, 5}) {
		t.Errorf("%v are there, 0 was idle longest", got)
	}
	limit = 1
	g.apply(conf.Change{LentLimit: &limit})
	if got := there(); !slices.Equal(got, []int{5}) || len(g.m.members) != 3 {
		t.Errorf("%v are there, and %d peers, after a limit of 1", got, len(g.m.members))
	}
	if n := g.index.Len(); n != 1 {
		t.Errorf("%d indices for one session", n)
	}
}

// To lend a peer and to take it back costs the same among 100,000 others as among a few,
// and so does an idle machine: it looks at nothing before something is due.
func TestCostOfManyLentPeers(t *testing.T) {
	took := func(peers int) time.Duration {
		w := newWorld(t, 1)
		g := w.host()
		g.up()
		limit, hour := uint32(peers), uint32(3600)
		var c conf.Change
		for i := range peers {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
			c.Peers = append(c.Peers, conf.PeerChange{PublicKey: lentKey(i), Lent: &hour, AllowedIPs: []conf.AllowedIPChange{{Prefix: p}}})
		}
		c.LentLimit = &limit
		g.apply(c)
		w.now++
		if next := g.m.NextTimeout(); next < w.now.Add(time.Hour-time.Second) {
			t.Errorf("the machine has something to do after %v", next.Sub(w.now))
		}
		best := time.Hour
		for i := range 300 {
			one := conf.Change{Peers: []conf.PeerChange{{PublicKey: lentKey(peers + i), Lent: &hour, AllowedIPs: sevens}}}
			began := time.Now()
			g.apply(one)
			best = min(best, time.Since(began))
			w.now++
		}
		if n := len(g.m.lent); n != peers {
			t.Errorf("%d lent peers, want %d", n, peers)
		}
		return best
	}
	few, many := took(100), took(100_000)
	t.Logf("%v among 100, %v among 100,000", few, many)
	if many > 10*few+50*time.Microsecond {
		t.Errorf("a change takes %v among 100, and %v among 100,000", few, many)
	}
}

func lentKey(i int) key.Public {
	return key.Public{0: 9, 1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}
}

// When many lent peers are idle at once, each Timeout returns some hundred of them with
// one new table of routes, so that none takes long, and the next one is due at once.
func TestManyLentPeersLeaveAtOnce(t *testing.T) {
	const peers = 2000
	g := newWorld(t, 1).host()
	g.up()
	var c conf.Change
	life := uint32(60)
	for i := range peers {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		c.Peers = append(c.Peers, conf.PeerChange{PublicKey: lentKey(i), Lent: &life, AllowedIPs: []conf.AllowedIPChange{{Prefix: p}}})
	}
	g.apply(c)
	now := g.time()
	now.Mono = now.Mono.Add(time.Minute)
	for left := peers; left > 0; {
		if g.m.NextTimeout() > now.Mono {
			t.Fatalf("nothing is due, and %d peers are left", left)
		}
		g.m.Timeout(now)
		n := len(g.m.members)
		if gone := left - n; gone != min(left, maxReturned) {
			t.Fatalf("%d of %d peers have left with one Timeout", gone, left)
		}
		if routes := g.m.Routes().Load().Len(); routes != n {
			t.Fatalf("%d routes of %d peers", routes, n)
		}
		left = n
	}
	if g.m.NextTimeout() != clock.Never || len(g.m.lent) != 0 {
		t.Errorf("%d lent peers are left", len(g.m.lent))
	}
}

// A limit that no int of 32 bits can hold is a limit, too.
func TestLargeLentLimit(t *testing.T) {
	g := newWorld(t, 1).host()
	limit, hour := uint32(1<<31), uint32(3600)
	g.apply(conf.Change{LentLimit: &limit, Peers: []conf.PeerChange{{PublicKey: lentKey(1), Lent: &hour}}})
	if len(g.m.lent) != 1 {
		t.Errorf("%d lent peers", len(g.m.lent))
	}
}
