package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
	"wgd/key"
)

func preshared(i byte) *key.Preshared {
	if i == 0 {
		return &key.Preshared{}
	}
	k := key.NewPreshared(&[32]byte{i})
	return &k
}

func presharedWith(h, peer *Host, i byte) {
	h.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.Public(), PresharedKey: preshared(i)}}})
}

// A15, B11: no preshared key, the right one and a wrong one on both sides.
// Setting one does not affect the current session; it applies to the next
// handshake.
func TestPresharedKeys(t *testing.T) {
	for one := range byte(3) {
		for two := range byte(3) {
			n := newChecked(t, 1)
			a, b := n.Pair()
			a.Send(b, "before")
			n.Run(time.Second)
			presharedWith(a, b, one)
			presharedWith(b, a, two)
			a.Send(b, "same session")
			n.Run(time.Second)
			equal(t, "b", b.Payloads(), []string{"before", "same session"})
			if got := a.Counts.Sent[wire.TypeInitiation]; got != 1 {
				t.Errorf("keys %d and %d: %d initiations, want 1", one, two, got)
			}
			n.Run(10 * time.Minute)
			b.Got = nil
			a.Send(b, "next session")
			n.Run(time.Second)
			if got := len(b.Got) == 1; got != (one == two) {
				t.Errorf("keys %d and %d: the packet arrived: %v, want %v", one, two, got, one == two)
			}
			// Once the keys are equal, the retransmission succeeds.
			presharedWith(a, b, two)
			n.Run(11 * time.Second)
			equal(t, "b", b.Payloads(), []string{"next session"})
		}
	}
}

// A15: a key that is set on one side only stops the traffic when the session
// expires, not earlier. Once it is set on the other side, too, traffic
// continues.
func TestPresharedKeyOnOneSide(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	sent := 0
	n.Every(100*time.Millisecond, func() bool { a.Send(b, fmt.Sprint(sent)); sent++; return true })
	n.Run(30*time.Second + 50*time.Millisecond)
	presharedWith(a, b, 1)
	n.Run(140 * time.Second)
	equal(t, "b", b.Payloads(), numbers(0, sent))
	n.Run(60 * time.Second)
	if b.Drops.Count(dataplane.DropReplay) > 0 || len(b.Got) > 1850 {
		t.Errorf("%d packets arrived on a session of 180 s, want at most 1850 and no replays", len(b.Got))
	}
	presharedWith(b, a, 1)
	n.Run(11 * time.Second)
	before := len(b.Got)
	n.Run(time.Second)
	if len(b.Got) < before+9 {
		t.Errorf("%d packets arrived in a second, want at least 9", len(b.Got)-before)
	}
}

// A58, B23: setting the same private key again changes nothing. After another
// one is set, the next packet starts a handshake at once, which a peer that
// knows the new public key answers.
func TestPrivateKeys(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	index := a.Peer(b).Sessions().Current.Local
	a.Must(conf.Change{PrivateKey: &a.Private})
	a.Send(b, "y")
	n.Run(time.Second)
	if s := a.Peer(b).Sessions(); s.Current == nil || s.Current.Local != index || len(a.SentOf(wire.TypeInitiation)) != 1 {
		t.Error("setting the same key again ended the session")
	}
	other := n.newHost()
	prefixes := a.About().AllowedIPs
	a.Private = other.Private
	b.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.Public(), AllowedIPs: prefixes}}})
	a.Must(conf.Change{PrivateKey: &a.Private})
	began := n.Now()
	a.Send(b, "z")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x", "y", "z"})
	if at := times(a.SentOf(wire.TypeInitiation)); len(at) != 2 || at[1] != began {
		t.Errorf("initiations at %v, want two, the second at %v when the key was changed", at, began)
	}
	b.Send(a, "back")
	n.Run(time.Second)
	equal(t, "a", a.Payloads(), []string{"back"})
}

// A57: a peer with the interface's own public key is ignored. Setting the
// private key of a peer removes that peer.
func TestPeerWithOwnKey(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Must(conf.Change{Peers: []conf.PeerChange{a.About()}})
	if len(a.Machine.Peers()) != 1 {
		t.Error("a is its own peer")
	}
	a.Give(Inner(a.Inner4, a.Inner4, []byte("x"), 0))
	a.Must(conf.Change{PrivateKey: &b.Private})
	if len(a.Machine.Peers()) != 0 {
		t.Error("the peer whose key is now that of a was not removed")
	}
	a.Send(b, "x")
	n.Run(time.Minute)
	if len(a.Sent) != 0 || a.Drops.Count(dataplane.DropNoPeer) != 2 {
		t.Errorf("a sent %v and dropped %d packets without a peer, want none and 2", types(a.Sent), a.Drops.Count(dataplane.DropNoPeer))
	}
}

// A59: a request is applied completely or not at all; the same peer twice is
// one peer; update_only does not create a peer.
func TestWholeRequests(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	c := n.newHost()
	name, badName := "b", "two words"
	before := fmt.Sprint(a.Machine.Status(a.Time()))
	for _, c := range []conf.Change{
		{ReplacePeers: true, Peers: []conf.PeerChange{{PublicKey: c.Public(), Name: &badName}}},
		{Peers: []conf.PeerChange{{PublicKey: b.Public(), Remove: true}, {PublicKey: c.Public(), AllowedIPs: []conf.AllowedIPChange{{}}}}},
	} {
		if err := a.Apply(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if after := fmt.Sprint(a.Machine.Status(a.Time())); after != before {
		t.Errorf("a refused request changed the status to\n%s\nfrom\n%s", after, before)
	}
	a.Must(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: b.Public(), Name: &name}, {PublicKey: c.Public(), UpdateOnly: true}, b.About(),
	}})
	if len(a.Machine.Peers()) != 1 || a.Status(b).Name != "b" || len(a.Status(b).AllowedIPs) != 2 {
		t.Errorf("peers %+v, want only b, with a name and two allowed IPs", a.Machine.Status(a.Time()).Peers)
	}
	a.Send(b, "x")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
}

// A61: bringing the interface down drops staged packets, erases keys and stops
// timers; bringing it up sends what was staged while it was down. Two hundred
// times.
func TestDownAndUp(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	for i := range 200 {
		a.Down()
		if a.Index.Len() != 0 || a.Peer(b).HasStaged() {
			t.Fatalf("round %d: %d indices, staged %v; want 0, false", i, a.Index.Len(), a.Peer(b).HasStaged())
		}
		sent := len(a.Sent)
		n.Run(time.Duration(n.Rand.Int64N(int64(20 * time.Second))))
		if len(a.Sent) != sent {
			t.Fatalf("round %d: a sent %d datagrams while down", i, len(a.Sent)-sent)
		}
		a.Send(b, fmt.Sprint(i)) // is staged until a is up
		b.Got = nil
		a.Up()
		n.Run(6 * time.Second)
		equal(t, "b", b.Payloads(), []string{fmt.Sprint(i)})
	}
	n.loseAll()
	a.Down()
	a.Up()
	a.Send(b, "lost")
	purged := a.Drops.Count(dataplane.DropStaged)
	a.Down()
	if a.Drops.Count(dataplane.DropStaged) != purged+1 {
		t.Error("a staged packet was not dropped when the interface went down")
	}
}

// A50, B64: while an allowed IP moves between two peers under traffic, each
// packet goes to exactly one of them: the one that has it at that time.
func TestAllowedIPMoves(t *testing.T) {
	n := newChecked(t, 1)
	a := n.NewHost("192.0.2.1")
	b, c := n.NewHost("198.51.100.2"), n.NewHost("203.0.113.3")
	Join(a, b)
	Join(a, c)
	for _, h := range n.Hosts {
		h.Up()
	}
	shared := netip.MustParseAddr("172.16.0.9")
	prefix := netip.MustParsePrefix("172.16.0.77/24") // host bits are masked
	owners := []*Host{b, c}
	var want [2][]string
	for i := range 200 {
		owner := i / 10 % 2
		if i%10 == 0 {
			a.Must(conf.Change{Peers: []conf.PeerChange{{
				PublicKey: owners[owner].Public(), AllowedIPs: []conf.AllowedIPChange{{Prefix: prefix}},
			}}})
		}
		a.Give(Inner(a.Inner4, shared, []byte(fmt.Sprint(i)), 0))
		want[owner] = append(want[owner], fmt.Sprint(i))
		n.Run(5 * time.Millisecond)
		// The other peer's packets with that source are not accepted (A49).
		for j, h := range owners {
			a.Got = nil
			h.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.Public(), AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(a.Inner4, 32)}}}}})
			h.Give(Inner(shared, a.Inner4, []byte("from the prefix"), 0))
			n.Run(100 * time.Millisecond)
			if got := len(a.Got) == 1; got != (j == owner) {
				t.Fatalf("step %d: a packet of peer %d: accepted: %v, want %v", i, j, got, j == owner)
			}
		}
	}
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), want[0])
	equal(t, "c", c.Payloads(), want[1])
}

// A48: a packet without a peer, and one for a peer without an endpoint, are
// answered with an ICMP error on the interface; nothing is sent to the network.
func TestUnreachable(t *testing.T) {
	n := newChecked(t, 1)
	a := n.NewHost("192.0.2.1")
	b := n.newHost()
	about := b.About
	b.behind = n.NewNAT("198.51.100.1", time.Second)
	a.Must(conf.Change{Peers: []conf.PeerChange{about()}})
	a.Up()
	a.Send(b, "x")
	a.Give(Inner(a.Inner4, netip.MustParseAddr("8.8.8.8"), []byte("x"), 0))
	n.Run(time.Minute)
	if len(a.Got) != 2 || len(a.Sent) != 0 || a.Peer(b).HasStaged() {
		t.Errorf("%d ICMP errors, want 2; sent %v, want nothing", len(a.Got), types(a.Sent))
	}
	for _, p := range a.Got {
		if p.To != a.Inner4 || p.UDP {
			t.Errorf("%+v is not an ICMP error for a", p)
		}
	}
}
