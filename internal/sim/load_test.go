package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cookie"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

func underload(h *Host, force bool) {
	h.Must(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &force}})
}

// A8, A26, B12: the cookie that answers the first initiation brings no resend,
// no bytes, no endpoint; the next retransmission carries mac2 and is answered.
// A27: the same where the initiator is under load, for the response.
func TestHandshakeUnderLoad(t *testing.T) {
	for _, c := range []struct{ initiator, responder bool }{{false, true}, {true, false}, {true, true}} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		underload(a, c.initiator)
		underload(b, c.responder)
		a.Send(b, "x")
		n.Run(4 * time.Second)
		if got := len(a.SentOf(wire.TypeInitiation)); got != 1 {
			t.Errorf("%+v: %d initiations before the timeout", c, got)
		}
		if s := a.Status(b); c.responder && (s.RxBytes != 0 || s.Endpoint != b.Addr()) {
			t.Errorf("%+v: a cookie reply counts: %+v", c, s)
		}
		n.Run(20 * time.Second)
		equal(t, fmt.Sprintf("%+v", c), b.Payloads(), []string{"x"})
		for i, d := range a.SentOf(wire.TypeInitiation) {
			mac2 := d.Data[148-16:]
			if has := fmt.Sprint(mac2) != fmt.Sprint(make([]byte, 16)); has != (c.responder && i > 0) {
				t.Errorf("%+v: initiation %d has mac2: %v", c, i, has) // A23
			}
		}
	}
}

// A24: a cookie serves for less than 120 s; afterwards a new one is asked for,
// and the handshake still works.
func TestCookiesAge(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	underload(b, true)
	for range 5 {
		a.Send(b, "x")
		n.Run(11 * time.Minute)
	}
	if len(b.Got) != 5 || b.Counts.Sent[wire.TypeCookieReply] != 5 || len(a.SentOf(wire.TypeInitiation)) != 10 {
		t.Errorf("%d packets, %d cookies, %d initiations", len(b.Got), b.Counts.Sent[wire.TypeCookieReply], len(a.SentOf(wire.TypeInitiation)))
	}
}

// B5, B42: a cookie serves only the address and port that it was given to: not
// another client behind the same NAT, nor another address.
func TestCookieBoundToSource(t *testing.T) {
	n := newChecked(t, 1)
	server := n.NewHost("192.0.2.1")
	nat := n.NewNAT("198.51.100.1", time.Minute)
	one, two := n.NewHostBehind(nat, "192.168.0.2"), n.NewHostBehind(nat, "192.168.0.3")
	Join(one, server)
	Join(two, server)
	for _, h := range n.Hosts {
		h.Up()
	}
	underload(server, true)
	one.Send(server, "x")
	n.Run(7 * time.Second)
	equal(t, "server", server.Payloads(), []string{"x"})
	initiations := one.SentOf(wire.TypeInitiation)
	withCookie := initiations[len(initiations)-1].Data
	for _, from := range []string{"198.51.100.1:40001", "198.51.100.2:40000", "[2001:db8::1]:40000"} {
		responses, cookies := server.Counts.Sent[wire.TypeResponse], server.Counts.Sent[wire.TypeCookieReply]
		n.Inject(netip.MustParseAddrPort(from), server.Addr(), withCookie)
		n.Run(time.Second)
		if server.Counts.Sent[wire.TypeResponse] != responses || server.Counts.Sent[wire.TypeCookieReply] != cookies+1 {
			t.Errorf("the cookie serves %s too", from)
		}
	}
	two.Send(server, "y")
	n.Run(7 * time.Second)
	equal(t, "server", server.Payloads(), []string{"x", "y"})
}

// flood has initiations with a good mac1 but of unknown peers come to h, rate a
// second, each from another address unless one is given, until the end.
func (n *Internet) flood(h *Host, rate int, from netip.Addr, end time.Duration) {
	stranger := n.random(99)
	var messages [][]byte
	for range 16 {
		// The static key is found out with one job; more nobody needs to spend.
		msg := make([]byte, 0, wire.InitiationSize)
		var m wire.Initiation
		_, _ = stranger.Read(m.Ephemeral[:])
		_, _ = stranger.Read(m.Static[:])
		messages = append(messages, withMAC1(m.AppendTo(msg), h.Public()))
	}
	gap := time.Second / time.Duration(rate)
	i := 0
	n.Every(gap, func() bool {
		i++
		source := from
		if !from.IsValid() {
			source = netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		n.Inject(netip.AddrPortFrom(source, 1000), h.Addr(), messages[i%len(messages)])
		return n.now < end
	})
}

// B27, B26, A30: whatever the rate of a flood from forged addresses, far below,
// just below, at and far above what the cores and the load threshold bear, a
// legitimate peer has its session within two retransmissions, and its data
// comes through undelayed (A44, B49).
func TestFloodSweep(t *testing.T) {
	const capacity = 50 // jobs a second
	for _, rate := range []int{500, 75, 55, 51, 48, 25}[:scaled(6)] {
		n := newChecked(t, uint64(rate))
		a, b := n.Pair()
		b.JobTime = time.Second / capacity
		n.flood(b, rate, netip.Addr{}, 20*time.Second)
		n.Run(3 * time.Second)
		a.Send(b, "x")
		n.Run(11 * time.Second)
		equal(t, fmt.Sprintf("%d a second", rate), b.Payloads(), []string{"x"})

		// The session is there: data passes by the queue.
		b.Got = nil
		for i := range 100 {
			a.Send(b, fmt.Sprint(i))
			n.Run(n.Default.Delay)
			if len(b.Got) != i+1 {
				t.Fatalf("%d a second: packet %d is late", rate, i)
			}
		}
		if cookies := b.Counts.Sent[wire.TypeCookieReply]; rate < capacity && cookies > 0 || rate >= capacity*3/2 && cookies == 0 {
			t.Errorf("%d a second, capacity %d: %d cookie replies", rate, capacity, cookies)
		}
	}
}

// B6, A29: one address that floods, cookies and all, is kept to its rate, and
// another one does not feel it.
func TestOneFlooder(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	underload(b, true)
	flooder := netip.MustParseAddrPort("203.0.113.7:1")
	maker := cookie.NewMaker(b.Public())
	n.nodes[flooder.Addr()] = nodeFunc(func(d *Datagram) { maker.Consume(a.mono(), d.Data) })
	var m wire.Initiation
	n.Every(2*time.Millisecond, func() bool { // 500 a second, with mac2
		msg := m.AppendTo(nil)
		maker.AddMACs(a.mono(), msg)
		n.Inject(flooder, b.Addr(), msg)
		n.Run(0)
		return n.now < 30*time.Second
	})
	n.Run(5 * time.Second)
	before := b.Drops.Count(dataplane.DropRate)
	n.Run(10 * time.Second)
	if dropped := b.Drops.Count(dataplane.DropRate) - before; dropped < 4700 || dropped > 4850 {
		t.Errorf("%d of 5000 dropped for their rate, of which 20 a second may pass", dropped)
	}
	a.Send(b, "x")
	n.Run(7 * time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
}

type nodeFunc func(d *Datagram)

func (f nodeFunc) receive(d *Datagram) { f(d) }

// A28: load ends a second after the queue was last full to an eighth, and then
// nobody is asked for a cookie.
func TestLoadClears(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	b.JobTime = 5 * time.Millisecond
	n.flood(b, 2000, netip.Addr{}, time.Second)
	n.Run(time.Second)
	if b.Counts.Sent[wire.TypeCookieReply] == 0 {
		t.Fatal("no load at 10 times what the core bears")
	}
	n.Run(3 * time.Second)
	cookies := b.Counts.Sent[wire.TypeCookieReply]
	a.Send(b, "x")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
	if b.Counts.Sent[wire.TypeCookieReply] != cookies {
		t.Error("a cookie is asked for after the load")
	}
}

// A44: bulk data in both directions does not starve handshakes: with a stream
// under way to one peer, another one's handshake takes what it takes always.
func TestHandshakeDuringBulk(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	c := n.NewHost("203.0.113.3")
	Join(c, b)
	c.Up()
	b.JobTime, c.JobTime = time.Millisecond, time.Millisecond
	frames := make([][]byte, 64)
	for i := range frames {
		frames[i] = Inner(a.Inner4, b.Inner4, make([]byte, 1200), 0)
	}
	back := make([][]byte, 64)
	for i := range back {
		back[i] = Inner(b.Inner4, a.Inner4, make([]byte, 1200), 0)
	}
	n.Every(10*time.Millisecond, func() bool { a.Give(frames...); b.Give(back...); return n.now < 2*time.Second })
	n.Run(time.Second)
	c.Send(b, "among many")
	n.Run(50 * time.Millisecond)
	found := false
	for _, p := range b.Got {
		found = found || p.Payload == "among many"
	}
	if !found {
		t.Error("the handshake waits")
	}
	n.Run(2 * time.Second)
	if len(a.Got) < 199*64 || len(b.Got) < 199*64 {
		t.Errorf("%d and %d packets", len(a.Got), len(b.Got))
	}
}

// A8, A13: responses and cookie replies that answer nothing of ours make no
// load and take nobody's place, however many there are; they are counted.
func TestUnsolicitedReplies(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	b.JobTime = 5 * time.Millisecond
	response := withMAC1((&wire.Response{Receiver: 1}).AppendTo(nil), b.Public())
	reply := (&wire.CookieReply{Receiver: 1}).AppendTo(nil)
	from := netip.MustParseAddrPort("203.0.113.7:1")
	n.Every(time.Millisecond, func() bool {
		for range 5 {
			n.Inject(from, b.Addr(), response)
			n.Inject(from, b.Addr(), reply)
		}
		return n.now < 2*time.Second
	})
	n.Run(time.Second)
	a.Send(b, "x")
	n.Run(100 * time.Millisecond)
	equal(t, "b", b.Payloads(), []string{"x"})
	n.Run(2 * time.Second)
	if got := b.Drops.Count(dataplane.DropHandshake); got != 20000 || b.Counts.Sent[wire.TypeCookieReply] != 0 {
		t.Errorf("%d of 20000 are counted, and %d cookies were asked for; %v", got, b.Counts.Sent[wire.TypeCookieReply], b.Drops.Status())
	}
}

// A44: initiations of our own, to a thousand peers that do not answer, keep
// nobody waiting who wants in.
func TestOwnInitiationsDelayNobody(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	b.JobTime = time.Millisecond
	interval := uint16(25)
	var c conf.Change
	for i := range 1000 {
		end := netip.AddrPortFrom(netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), byte(i)}), Port)
		p := conf.PeerChange{Endpoint: &end, PersistentKeepalive: &interval}
		_, _ = n.random(uint64(i) + 1000).Read(p.PublicKey[:])
		c.Peers = append(c.Peers, p)
	}
	b.Must(c)
	a.Send(b, "x")
	n.Run(100 * time.Millisecond)
	equal(t, "b", b.Payloads(), []string{"x"})
	if left := 1000 - len(b.SentOf(wire.TypeInitiation)); left < 500 {
		t.Errorf("%d initiations are left to be made: this proves nothing", left)
	}
}
