package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// star returns a server and clients, all up. The server learns the clients'
// endpoints from their messages.
func (n *Internet) star(clients int) (server *Host, list []*Host) {
	server = n.NewHost("192.0.2.1")
	about := make([]conf.PeerChange, clients)
	for i := range clients {
		c := n.NewHost(fmt.Sprintf("100.%d.%d.%d", 64+i>>16, i>>8&255, i&255))
		c.Must(conf.Change{Peers: []conf.PeerChange{server.About()}})
		c.Up()
		about[i] = c.About()
		about[i].Endpoint = nil
		list = append(list, c)
	}
	server.Must(conf.Change{Peers: about})
	server.Up()
	return server, list
}

// B45, B25: fifty peers whose endpoint is the host itself are added, removed
// and replaced at random during handshakes. The lists stay consistent, no index
// leaks, and the host does not answer itself.
func TestSelfEndpointsChurn(t *testing.T) {
	n := newChecked(t, 1)
	n.Default.Delay = time.Millisecond
	a, b := n.Pair()
	a.JobTime, a.JobJitter, a.CoreDelay = time.Millisecond, 5*time.Millisecond, 3*time.Millisecond
	self := a.Addr()
	keepalive := uint16(1)
	var others []conf.PeerChange
	for i := range 50 {
		secret := [32]byte{1, byte(i)}
		others = append(others, conf.PeerChange{
			PublicKey: key.NewPrivate(&secret).Public(), Endpoint: &self, PersistentKeepalive: &keepalive,
			AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 0, byte(i)}), 32)}},
		})
	}
	there := map[key.Public]bool{b.Public(): true}
	for range scaled(1000) {
		c := others[n.Rand.IntN(len(others))]
		switch n.Rand.IntN(8) {
		case 0, 1, 2:
			a.Must(conf.Change{Peers: []conf.PeerChange{c}})
			there[c.PublicKey] = true
		case 3, 4, 5: // twice in one request, which is allowed
			gone := conf.PeerChange{PublicKey: c.PublicKey, Remove: true}
			a.Must(conf.Change{Peers: []conf.PeerChange{gone, gone}})
			delete(there, c.PublicKey)
		case 6:
			a.Must(conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{b.About(), c, c}})
			there = map[key.Public]bool{b.Public(): true, c.PublicKey: true}
		default:
			a.Down()
			a.Up()
		}
		list := a.Machine.Status(a.Time()).Peers
		if len(list) != len(there) || len(a.Machine.Peers()) != len(there) {
			t.Fatalf("%d peers, want %d", len(list), len(there))
		}
		for _, p := range list {
			if !there[p.PublicKey] {
				t.Fatal("a removed peer is listed")
			}
		}
		checkIndices(t, a)
		n.Run(time.Duration(n.Rand.Int64N(int64(30 * time.Millisecond))))
	}
	if got := a.Counts.Sent[wire.TypeResponse]; got != 0 {
		t.Errorf("the host sent %d responses to itself", got)
	}
	b.Got = nil
	for range 12 {
		a.Send(b, "x")
		n.Run(time.Second)
	}
	if len(b.Got) == 0 {
		t.Error("the tunnel to the real peer does not work")
	}
}

// B29, A14: successive initiations of one peer take no more indices than there
// can be handshakes and sessions.
func TestIndicesAreBounded(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	count := scaled(400)
	for i := range count {
		n.Inject(a.Addr(), b.Addr(), n.initiation(a.Private, b.Public(), Epoch.Add(time.Duration(i)*time.Second), nil))
		n.Run(25 * time.Millisecond)
		if got := b.Index.Len(); got > 3 {
			t.Fatalf("%d indices after %d initiations of one peer", got, i+1)
		}
	}
	seen := map[uint32]bool{}
	for _, d := range b.SentOf(wire.TypeResponse) {
		seen[wire.SenderIndex(d.Data)] = true
	}
	if len(seen) != count {
		t.Errorf("%d different indices in %d responses", len(seen), count) // B15
	}
}

// A31, A14, B25: random events on five hosts that are all peers of each other:
// restarts, sleep, clock steps, down and up, moves, removals, bad paths, with
// and without load. Afterwards, every host reaches every other one.
func TestChaos(t *testing.T) {
	for seed := range uint64(scaled(3)) {
		n := newChecked(t, seed)
		for i := range 5 {
			h := n.NewHost(fmt.Sprintf("192.0.2.%d", i+1))
			h.JobTime, h.JobJitter, h.CoreDelay = time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
			h.Cores, h.Together = 1+i%2, 2*i
			for _, other := range n.Hosts[:i] {
				Join(h, other)
			}
			h.Up()
		}
		n.Default = Path{Delay: 5 * time.Millisecond, Jitter: 200 * time.Millisecond, Loss: 0.1, Duplicate: 0.1}
		for range 300 {
			h, other := n.Hosts[n.Rand.IntN(5)], n.Hosts[n.Rand.IntN(5)]
			n.disturb(h, other)
			for range 5 {
				from, to := n.Hosts[n.Rand.IntN(5)], n.Hosts[n.Rand.IntN(5)]
				if from != to {
					from.Send(to, "x")
				}
			}
			n.Run(time.Duration(n.Rand.Int64N(int64(2 * time.Second))))
		}
		n.restore()
		for i, a := range n.Hosts {
			for _, b := range n.Hosts[:i] {
				checkRecovers(t, n, a, b, 16*time.Second)
			}
			checkIndices(t, a)
		}
		if t.Failed() {
			t.Fatalf("failed with seed %d", seed)
		}
	}
}

// disturb applies a random event to a host and its peer, or none.
func (n *Internet) disturb(h, peer *Host) {
	switch n.Rand.IntN(40) {
	case 0:
		h.Restart(n.Rand.IntN(2) == 0)
	case 1:
		h.Sleep(time.Duration(n.Rand.Int64N(int64(10 * time.Minute))))
		n.Run(time.Second)
	case 2:
		h.Wall += time.Duration(n.Rand.Int64N(int64(48*time.Hour))) - 24*time.Hour
	case 3:
		h.Down()
		n.Run(time.Duration(n.Rand.Int64N(int64(time.Second))))
		h.Up()
	case 4:
		h.Move(fmt.Sprintf("198.51.100.%d", h.Name*10+n.Rand.IntN(10)))
	case 5:
		if h != peer {
			h.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.Public(), Remove: true}}})
			n.Run(time.Duration(n.Rand.Int64N(int64(time.Second))))
			h.Must(conf.Change{Peers: []conf.PeerChange{peer.About()}})
		}
	case 6:
		underload(h, n.Rand.IntN(2) == 0)
	case 7:
		n.Run(time.Duration(n.Rand.Int64N(int64(5 * time.Minute))))
	case 8:
		persist(h, peer, uint16(n.Rand.IntN(20)))
	}
}

// restore undoes the effects of disturb.
func (n *Internet) restore() {
	n.Default = Path{Delay: 10 * time.Millisecond}
	n.Run(11 * time.Minute) // until all hosts are awake
	for i, h := range n.Hosts {
		underload(h, false)
		for _, other := range n.Hosts[:i] {
			Join(h, other)
		}
	}
	n.Run(10 * time.Second)
}

// B2, A49: with nested allowed IPs, a packet from a peer is accepted if and
// only if the longest prefix that matches its source is the peer's.
func TestNestedAllowedIPs(t *testing.T) {
	n := newChecked(t, 1)
	server, clients := n.star(3)
	nested := []string{"172.16.0.0/12", "172.16.0.0/16", "172.16.5.0/24"}
	for i, c := range clients {
		server.Must(conf.Change{Peers: []conf.PeerChange{{
			PublicKey: c.Public(), AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix(nested[i])}},
		}}})
	}
	addresses := map[string]int{"172.17.0.1": 0, "172.16.1.1": 1, "172.16.5.1": 2, "172.16.6.255": 1, "172.31.255.255": 0, "172.32.0.1": -1}
	for a, owner := range addresses {
		source := netip.MustParseAddr(a)
		for i, c := range clients {
			server.Got = nil
			c.Give(Inner(source, server.Inner4, []byte("x"), 0))
			n.Run(time.Second)
			if got := len(server.Got) == 1; got != (i == owner) {
				t.Errorf("a packet from %s of client %d: accepted: %v, want %v", a, i, got, i == owner)
			}
		}
		if owner >= 0 {
			clients[owner].Got = nil
			server.Give(Inner(server.Inner4, source, []byte("x"), 0))
			n.Run(time.Second)
			if len(clients[owner].Got) != 1 {
				t.Errorf("a packet to %s does not reach client %d", a, owner)
			}
		}
	}
}
