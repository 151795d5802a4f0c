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

// A8, A26, B12: a cookie reply to the first initiation causes no immediate
// resend, counts no bytes and changes no endpoint; the next retransmission has
// mac2 and is answered. A27: the same for the response if the initiator is
// under load.
func TestHandshakeUnderLoad(t *testing.T) {
	for _, c := range []struct{ initiator, responder bool }{{false, true}, {true, false}, {true, true}} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		underload(a, c.initiator)
		underload(b, c.responder)
		a.Send(b, "x")
		n.Run(4 * time.Second)
		if got := len(a.SentOf(wire.TypeInitiation)); got != 1 {
			t.Errorf("%+v: %d initiations before the timeout, want 1", c, got)
		}
		if s := a.Status(b); c.responder && (s.RxBytes != 0 || s.Endpoint != b.Addr()) {
			t.Errorf("%+v: the cookie reply changed the status: %+v", c, s)
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

// A24: a cookie is valid for less than 120 s; after that a new one is needed,
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
		t.Errorf("%d packets, %d cookie replies, %d initiations; want 5, 5, 10", len(b.Got), b.Counts.Sent[wire.TypeCookieReply], len(a.SentOf(wire.TypeInitiation)))
	}
}

// B5, B42: a cookie is valid only for the address and port that it was sent to,
// not for another client behind the same NAT or another address.
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
			t.Errorf("the cookie is accepted from %s, too", from)
		}
	}
	two.Send(server, "y")
	n.Run(7 * time.Second)
	equal(t, "server", server.Payloads(), []string{"x", "y"})
}

// flood sends h initiations with a valid mac1 from unknown peers, at the given
// rate per second, each from another address unless from is valid, until end.
func (n *Internet) flood(h *Host, rate int, from netip.Addr, end time.Duration) {
	stranger := n.random(99)
	var messages [][]byte
	for range 16 {
		// h needs only one job to find that the static key is unknown.
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

// B27, B26, A30: whatever the rate of a flood from forged addresses, from far
// below to far above the capacity of the cores, a legitimate peer gets a
// session within two retransmissions, and its data is not delayed (A44, B49).
func TestFloodSweep(t *testing.T) {
	const capacity = 50 // jobs per second
	for _, rate := range []int{500, 75, 55, 51, 48, 25}[:scaled(6)] {
		n := newChecked(t, uint64(rate))
		a, b := n.Pair()
		b.JobTime = time.Second / capacity
		n.flood(b, rate, netip.Addr{}, 20*time.Second)
		n.Run(3 * time.Second)
		a.Send(b, "x")
		n.Run(11 * time.Second)
		equal(t, fmt.Sprintf("%d per second", rate), b.Payloads(), []string{"x"})

		// With a session, data does not go through the handshake queue.
		b.Got = nil
		for i := range 100 {
			a.Send(b, fmt.Sprint(i))
			n.Run(n.Default.Delay)
			if len(b.Got) != i+1 {
				t.Fatalf("%d per second: packet %d is late", rate, i)
			}
		}
		if cookies := b.Counts.Sent[wire.TypeCookieReply]; rate < capacity && cookies > 0 || rate >= capacity*3/2 && cookies == 0 {
			t.Errorf("%d per second, capacity %d: %d cookie replies", rate, capacity, cookies)
		}
	}
}

// B6, A29: an address that floods with valid cookies is limited to its rate,
// and does not affect another one.
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
		t.Errorf("%d of 5000 dropped by the rate limit of 20 per second, want 4700 to 4850", dropped)
	}
	a.Send(b, "x")
	n.Run(7 * time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
}

type nodeFunc func(d *Datagram)

func (f nodeFunc) receive(d *Datagram) { f(d) }

// A28: being under load ends a second after the queue was last filled to an
// eighth; then no cookie replies are sent.
func TestLoadClears(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	b.JobTime = 5 * time.Millisecond
	n.flood(b, 2000, netip.Addr{}, time.Second)
	n.Run(time.Second)
	if b.Counts.Sent[wire.TypeCookieReply] == 0 {
		t.Fatal("not under load at 10 times the capacity of the core")
	}
	n.Run(3 * time.Second)
	cookies := b.Counts.Sent[wire.TypeCookieReply]
	a.Send(b, "x")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"x"})
	if b.Counts.Sent[wire.TypeCookieReply] != cookies {
		t.Error("a cookie reply was sent after the load")
	}
}

// A44: bulk data in both directions does not starve handshakes: during a stream
// to one peer, the handshake of another one takes no longer than usual.
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
		t.Error("the handshake was delayed")
	}
	n.Run(2 * time.Second)
	if len(a.Got) < 199*64 || len(b.Got) < 199*64 {
		t.Errorf("a got %d and b got %d bulk packets, want at least %d each", len(a.Got), len(b.Got), 199*64)
	}
}

// A8, A13: unsolicited responses and cookie replies, however many, cause no
// load and take no place in the queue; they are counted.
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
		t.Errorf("%d of 20000 counted, %d cookie replies, want none; %v", got, b.Counts.Sent[wire.TypeCookieReply], b.Drops.Status())
	}
}

// A44: a host's own initiations, to a thousand peers that do not answer, do not
// delay an incoming handshake.
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
		t.Errorf("only %d initiations are still to be sent: the test proves nothing", left)
	}
}
