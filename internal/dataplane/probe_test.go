package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// probing returns a pair of which a follows its routes, and may look for the MTU of paths.
// A is at an endpoint of the given family.
func probing(t *testing.T, endpoint string) (a, b *side) {
	t.Helper()
	a, b = pair(t)
	timing := testTiming()
	timing.ProbePaths = true
	a.common.SetTiming(timing)
	a.common.SetChanges(&peer.Changes{})
	a.peer.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(endpoint), netip.Addr{}, 0))
	a.peer.Location().SetRoute(&peer.Route{Found: true, MTU: 1500}, 0)
	a.peer.Location().SetProbed(0, start)
	a.peer.Location().PostponeProbe(start) // from which on the next one may begin
	return a, b
}

const probed4, probed6 = "192.0.2.2:7", "[fd01::2]:7"

// A large packet and a TCP connection that begins are reasons to look for the MTU of the
// path, in the directions in which they can be seen, and once for each time at which a
// search may begin. If the path is known to be narrow, or there was no search yet, any packet
// is.
func TestReasonsForProbes(t *testing.T) {
	small, large := frame(udpPacket(addrA, addrB, 1000)), frame(udpPacket(addrA, addrB, 1300))
	syn := frame(synPacket(addrA, addrB, 1460))
	for _, c := range []struct {
		name     string
		f        []byte
		narrow   bool
		first    bool // there was no search yet
		off, old bool // they are turned off; there is no session
		want     int
	}{
		{name: "small", f: small}, {name: "large", f: large, want: 1}, {name: "SYN", f: syn, want: 1},
		{name: "small, narrow path", f: small, narrow: true, want: 1}, {name: "small, at first", f: small, first: true, want: 1},
		{name: "small, at first, no session", f: small, first: true, old: true},
		{name: "large, turned off", f: large, off: true}, {name: "large, no session", f: large, old: true},
		{name: "large, of another tunnel", f: frame(inside(netip.AddrPortFrom(addrB, 7), append([]byte{4, 0, 0, 0}, make([]byte, 1280)...)))},
		{name: "large fragment", f: frame(first(udpPacket(addrA, addrB, 1300), 7))},
		{name: "multicast", f: frame(udpPacket(addrA, netip.MustParseAddr("224.0.0.9"), 1300))},
	} {
		a, _ := probing(t, probed4)
		a.route(a.peer, netip.MustParsePrefix("224.0.0.0/4"))
		if c.narrow {
			a.peer.Location().SetProbed(1280, start)
		}
		if c.first {
			a.peer.Location().PostponeProbe(0)
		}
		if c.off {
			a.common.SetTiming(testTiming())
		}
		now := start
		if c.old {
			now = start.Add(time.Hour)
		}
		a.send(now, c.f, c.f)
		a.send(now, c.f)
		if got := a.notes.wishes; len(got) != c.want || c.want > 0 && got[0] != (peer.ProbeWish{From: addrA, To: addrB, MTU: 1420}) {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
}

// So it is for what is received.
func TestReasonsForProbesReceived(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      []byte
		narrow bool
		first  bool
		want   int
	}{
		{"large", udpPacket(addrB, addrA, 1300), false, false, 0}, {"SYN", synPacket(addrB, addrA, 1460), false, false, 1},
		{"large, narrow path", udpPacket(addrB, addrA, 1300), true, false, 1}, {"small, at first", udpPacket(addrB, addrA, 100), false, true, 1},
	} {
		a, b := probing(t, probed4)
		if c.narrow {
			a.peer.Location().SetProbed(1280, start)
		}
		if c.first {
			a.peer.Location().PostponeProbe(0)
		}
		for range 3 {
			b.send(start, frame(c.p))
			receiveAt(a, b, start)
		}
		if got := a.notes.wishes; len(got) != c.want || c.want > 0 && got[0] != (peer.ProbeWish{From: addrA, To: addrB, MTU: 1420}) {
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
		if n := len(a.tun.take()); n != 3 {
			t.Errorf("%s: %d of 3 packets arrive", c.name, n)
		}
	}
}

// receiveAt delivers to a what b has sent, from where a expects b.
func receiveAt(a, b *side, now clock.Time) {
	trains := b.udp.take()
	for i := range trains {
		trains[i].Remote = a.peer.Endpoint()
	}
	a.dec.Decapsulate(a.opening, now, trains)
}

// A probe has the size that is asked for, with DF where routers fragment, and arrives as the
// packet that it is without the padding. Without a session nothing is sent.
func TestProbe(t *testing.T) {
	echo := packet.Echo{From: addrA, To: addrB, ID: 1, Token: 2}
	f := make([]byte, packet.MaxEchoFrame)
	f = f[:echo.Put(f)]
	for _, c := range []struct {
		endpoint   string
		size, want int
		df         bool
	}{{probed4, 1472, 1472, true}, {probed6, 1452, 1452, false}, {probed4, 0, 80, false}, {probed4, 33, 80, true}} {
		a, b := probing(t, c.endpoint)
		a.peer.Location().SetProbed(1280, start)
		a.enc.Probe(a.sealing, start, a.peer, f, c.size)
		trains := a.udp.take()
		if len(trains) != 1 || len(trains[0].Data) != c.want || trains[0].DontFragment != c.df {
			t.Fatalf("%d bytes to %s: %+v", c.size, c.endpoint, trains)
		}
		if a.peer.Unanswered() != 0 || a.peer.LastSent() != start {
			t.Errorf("a probe was noted as sent at %v, and is waited for since %v", a.peer.LastSent(), a.peer.Unanswered())
		}
		trains[0].Remote = a.at
		b.dec.Decapsulate(b.opening, start, trains)
		if got := b.tun.take(); len(got) != 1 || string(got[0][packet.VirtioHeaderSize:]) != string(f[packet.VirtioHeaderSize:]) {
			t.Errorf("%d bytes to %s: %x arrives", c.size, c.endpoint, got)
		}
		a.enc.Probe(a.sealing, start.Add(time.Hour), a.peer, f, c.size)
		if n := len(a.udp.take()); n != 0 {
			t.Errorf("%d trains are sent without a session", n)
		}
		a.send(start, frame(udpPacket(addrA, addrB, 100)))
		if trains := a.udp.take(); len(trains) != 1 || trains[0].DontFragment {
			t.Errorf("after a probe, data is sent as %+v", trains)
		}
		if a.peer.Unanswered() != start {
			t.Errorf("an answer is waited for since %v, want since the data was sent", a.peer.Unanswered())
		}
	}
}

// An answer to a probe does not reach the interface, whatever its source. Other packets do,
// also other echo replies, and so do answers when there is no search.
func TestAnswersToProbes(t *testing.T) {
	answer := func(from netip.Addr, token uint64) []byte {
		e := packet.Echo{From: addrA, To: from, ID: 1, Sequence: 7, Token: token}
		f := make([]byte, packet.MaxEchoFrame)
		return f[:e.PutReply(f)]
	}
	foreign := netip.MustParseAddr("203.0.113.9")
	for _, c := range []struct {
		name          string
		f             []byte
		searching     bool
		heard, arrive int
	}{
		{"answer", answer(addrB, 2), true, 1, 0}, {"from a foreign address", answer(foreign, 2), true, 1, 0},
		{"another token", answer(addrB, 3), true, 0, 1}, {"no search", answer(addrB, 2), false, 0, 1},
		{"other packet", frame(udpPacket(addrB, addrA, 100)), true, 0, 1},
	} {
		a, b := probing(t, probed4)
		if c.searching {
			a.peer.Location().SetProbing(&peer.Probing{ID: 1, Token: 2})
		}
		b.send(start, c.f)
		receiveAt(a, b, start)
		if got := len(a.notes.answers); got != c.heard || got > 0 && a.notes.answers[0] != (packet.EchoAnswer{Sequence: 7}) {
			t.Errorf("%s: the answers %+v, want %d", c.name, a.notes.answers, c.heard)
		}
		if got := len(a.tun.take()); got != c.arrive {
			t.Errorf("%s: %d packets arrive, want %d", c.name, got, c.arrive)
		}
		a.wantDrops(nil)
	}
}

// While a search doubts that the path carries what the interface does, new TCP connections
// expect the minimum; and so they do before anything is found out.
func TestMSSInDoubt(t *testing.T) {
	const over4, over6 = 1216, 1200
	for _, c := range []struct {
		name     string
		endpoint string
		from, to netip.Addr
		unproven bool
		doubt    bool
		want     int
	}{
		{"IPv4, proven", probed4, addrA, addrB, false, false, 1380}, {"IPv6, proven", probed4, addrA6, addrB6, false, false, 1360},
		{"IPv4, unproven", probed4, addrA, addrB, true, false, over4 - 40}, {"IPv6, unproven", probed4, addrA6, addrB6, true, false, over4 - 60},
		{"IPv4, in doubt", probed4, addrA, addrB, false, true, over4 - 40}, {"IPv6, in doubt", probed4, addrA6, addrB6, false, true, over4 - 60},
		{"IPv4 over IPv6, proven", probed6, addrA, addrB, false, false, 1380},
		{"IPv4 over IPv6, unproven", probed6, addrA, addrB, true, false, over6 - 40},
		{"IPv6 over IPv6, unproven", probed6, addrA6, addrB6, true, false, over6 - 60},
	} {
		a, b := probing(t, c.endpoint)
		b.KeepMSS.Store(true)
		if c.unproven {
			a.peer.Location().SetProbed(0, 0)
		}
		a.peer.Location().SetProbing(&peer.Probing{Doubt: c.doubt})
		a.send(start, frame(synPacket(c.from, c.to, 1460)))
		transfer(start, a, b)
		if got := b.offered(); got != c.want {
			t.Errorf("%s: B gets the MSS %d, want %d", c.name, got, c.want)
		}
		b.send(start, frame(synPacket(c.to, c.from, 1460)))
		receiveAt(a, b, start)
		if got := a.offered(); got != c.want {
			t.Errorf("%s: A gets the MSS %d, want %d", c.name, got, c.want)
		}
	}
}
