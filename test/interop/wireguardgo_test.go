package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// roles are the daemons of the responder (A) and of the initiator (B).
var roles = []struct{ name, a, b string }{
	{"we initiate", lab.Theirs, lab.Ours},
	{"they initiate", lab.Ours, lab.Theirs},
}

// inEachRole runs a test with wgd on either side.
func inEachRole(t *testing.T, f func(t *testing.T, a, b *lab.Host, ta, tb *lab.Tunnel)) {
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Daemon: r.a}, lab.Settings{Daemon: r.b, Port: 1235})
			f(t, a, b, ta, tb)
		})
	}
}

// Datagrams of every size and large transfers arrive, in the four combinations of
// families. What one end counts as sent, the other counts as received.
// A9, A45, A47, B24
func TestTraffic(t *testing.T) {
	for _, r := range roles {
		for _, outer := range []string{"192.0.2.1:1234", "[fd01::1]:1234"} {
			t.Run(r.name+" over "+outer, func(t *testing.T) {
				t.Parallel()
				a, b := lab.Pair(t)
				ta, tb := lab.Connect(a, b, outer, lab.Settings{Daemon: r.a}, lab.Settings{Daemon: r.b})
				a.Echo()
				b.Echo()
				a.Sink(9)
				b.Sink(9)
				for _, inner := range []string{lab.InnerA4, lab.InnerA6} {
					sweep(t, b, inner)
					b.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(inner), 9), Bytes: 24 << 20})
				}
				for _, inner := range []string{lab.InnerB4, lab.InnerB6} {
					sweep(t, a, inner)
					a.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(inner), 9), Bytes: 24 << 20})
				}
				lab.Until(t, 5*time.Second, "both ends count the same", func() (bool, string) { // the last packets may still be on their way
					pa, pb := ta.Peer(tb), tb.Peer(ta)
					return pa.Rx == pb.Tx && pa.Tx == pb.Rx && pa.Rx >= 48<<20 && pa.Tx >= 48<<20,
						fmt.Sprintf("A received %d and sent %d, B received %d and sent %d", pa.Rx, pa.Tx, pb.Rx, pb.Tx)
				})
			})
		}
	}
}

// sweep sends every size. Between two wireguard-go of this version, one in some
// thousand datagrams is lost now and then. So a size that does not come back is sent
// again. It is a failure if one is lost twice, or more than three are lost.
func sweep(t *testing.T, h *lab.Host, inner string) {
	t.Helper()
	got := h.TrySweep(lab.Sweep{Remote: addr(inner), From: 0, To: 1500})
	if len(got.Lost) > 3 || len(got.Corrupt) > 0 || got.Refused != "" {
		t.Fatalf("host %s to %s: %v", h.Name, inner, got)
	}
	for _, size := range got.Lost {
		t.Logf("host %s to %s: sending size %d again", h.Name, inner, size)
		h.Sweep(lab.Sweep{Remote: addr(inner), From: size, To: size})
	}
}

// Packets pass only if both ends have the same preshared key. // A9, A15
func TestPresharedKey(t *testing.T) {
	inEachRole(t, func(t *testing.T, a, b *lab.Host, ta, tb *lab.Tunnel) {
		psk := a.Must("wg genpsk")
		a.Write("/etc/wg/psk", psk)
		b.Write("/etc/wg/psk", psk)
		a.Must("wg set wg0 peer %s preshared-key /etc/wg/psk", tb.Public)
		b.NoPing(lab.InnerA4)
		b.Must("wg set wg0 peer %s preshared-key /etc/wg/psk", ta.Public)
		b.PingWithin(15*time.Second, lab.InnerA4)
		a.Ping(lab.InnerB6, 2)
	})
}

// Each end moves to another address, and the other learns it from data. // A51
func TestRoaming(t *testing.T) {
	inEachRole(t, func(t *testing.T, a, b *lab.Host, ta, tb *lab.Tunnel) {
		b.Ping(lab.InnerA4, 2)
		a.Must("ip addr add 192.0.2.11/24 dev eth0")
		b.Must("ip addr flush dev eth0 && ip addr add 192.0.2.22/24 dev eth0")
		b.PingWithin(10*time.Second, lab.InnerA4)
		a.Ping(lab.InnerB4, 2)
		if got := ta.Peer(tb).Endpoint; got != "192.0.2.22:1235" {
			t.Errorf("A's endpoint of B is %s", got)
		}
		a.Must("ip addr flush dev eth0 && ip addr add 192.0.2.11/24 dev eth0")
		a.PingWithin(10*time.Second, lab.InnerB4)
		b.Ping(lab.InnerA4, 2)
		if got := tb.Peer(ta).Endpoint; got != "192.0.2.11:1234" {
			t.Errorf("B's endpoint of A is %s", got)
		}
	})
}

// A client with wgd that only receives gets another address on another link. wireguard-go
// learns it from a keepalive in the session, without a handshake.
// A51, A52
func TestSilentClientRoams(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	lab.Link(a, "eth1", []string{"198.51.100.1/24"}, b, "eth1", nil)
	a.Must("ip addr add 203.0.113.1/32 dev lo")
	b.Must("ip route add default via 192.0.2.1")
	ta, tb := lab.Connect(a, b, "203.0.113.1:1234", lab.Settings{Daemon: lab.Theirs}, lab.Settings{Port: 1235})
	b.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=3600 net.wg.rekey_attempt_time=86400 net.wg.keepalive_timeout=3600") // no timer helps
	b.Ping(lab.InnerA4, 2)
	session := tb.Peer(ta).Handshake
	in := b.Collect(4000)
	a.StartFlow(lab.Flow{Remote: addrPort(lab.InnerB4 + ":4000"), Size: 100, Interval: 20 * time.Millisecond})
	b.Must("ip addr flush dev eth0")
	b.Must("ip addr add 198.51.100.2/24 dev eth1 && ip route add default via 198.51.100.1")
	before := len(b.Collected(in))
	lab.Until(t, 20*time.Second, "the flow arrives at the new address", func() (bool, string) {
		return len(b.Collected(in)) > before && ta.Peer(tb).Endpoint == "198.51.100.2:1235", ta.Peer(tb).Endpoint
	})
	if last := tb.Peer(ta).Handshake; !last.Equal(session) {
		t.Errorf("there was a handshake at %v, after that at %v", last, session)
	}
}

// wgd, as initiator, rekeys every two seconds under traffic, and no packet is lost.
// A32, A33
func TestRekey(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Daemon: lab.Theirs}, lab.Settings{})
	b.Must("wgconfig wg0 sysctl -w net.wg.rekey_after_time=2 net.wg.rekey_timeout=1")
	b.Ping(lab.InnerA4, 1)
	first := ta.Peer(tb).Handshake
	inA, inB := a.Collect(4000), b.Collect(4000)
	fa := a.StartFlow(lab.Flow{Remote: addrPort("10.2.0.2:4000"), Size: 300, Interval: 2 * time.Millisecond})
	fb := b.StartFlow(lab.Flow{Remote: addrPort("[fd00:2::1]:4000"), Size: 300, Interval: 2 * time.Millisecond})
	time.Sleep(8 * time.Second)
	sa, sb := a.StopFlow(fa), b.StopFlow(fb)
	if s := summarize(b, inB, sa); s.Lost > 0 || s.Twice > 0 {
		t.Errorf("A to B, %d sent: %v", sa.Sent, s)
	}
	if s := summarize(a, inA, sb); s.Lost > 0 || s.Twice > 0 {
		t.Errorf("B to A, %d sent: %v", sb.Sent, s)
	}
	if last := ta.Peer(tb).Handshake; last.Sub(first) < 4*time.Second {
		t.Errorf("the last handshake was %v after the first, want 4s at least", last.Sub(first))
	}
}

// summarize returns the summary of a flow that has ended. It waits until all datagrams
// have arrived, but not for long.
func summarize(h *lab.Host, collector int, sent lab.FlowResult) lab.Summary {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s := lab.Summarize(h.Collected(collector), sent.Sent)
		if s.Lost == 0 || time.Now().After(end) {
			return s
		}
	}
}

// The other end accepts persistent keepalives. They are no data: they cause no
// handshakes. // A40, A41, B62
func TestKeepalives(t *testing.T) {
	inEachRole(t, func(t *testing.T, a, b *lab.Host, ta, tb *lab.Tunnel) {
		b.Ping(lab.InnerA4, 1)
		b.Must("wg set wg0 peer %s persistent-keepalive 1", ta.Public)
		a.Must("wg set wg0 peer %s persistent-keepalive 2", tb.Public)
		begun := time.Now()
		before := ta.Peer(tb)
		time.Sleep(6 * time.Second)
		after := ta.Peer(tb)
		took := time.Since(begun)
		if got := after.Rx - before.Rx; got < 4*32 || got > 32*uint64(took.Seconds()+1) || got%32 != 0 {
			t.Errorf("A received %d bytes of keepalives in %v, want 32 per second", got, took)
		}
		if !after.Handshake.Equal(before.Handshake) {
			t.Error("keepalives caused a handshake")
		}
	})
}

// wgd under load answers an initiation of wireguard-go with a cookie, and accepts the
// initiation that comes with it. // A24, A25, A26, B26
func TestCookieIsReturned(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Daemon: lab.Theirs, Port: 1235})
	a.Must("wgconfig wg0 sysctl -w net.wg.force_underload=1")
	wire := a.Watch("eth0")
	b.PingWithin(12*time.Second, lab.InnerA4)
	cookies := 0
	for _, p := range a.WatchedUDP(wire, 1234) {
		if p.Out && p.Payload[0] == 3 {
			cookies++
		}
	}
	if cookies != 1 {
		t.Errorf("%d cookie replies, want one", cookies)
	}
	a.Ping(lab.InnerB4, 1)
	_, _ = ta, tb
}

// If the daemon of the receiving end is killed and started again, the sender notices
// within 16 s. // B31, B35
func TestRestart(t *testing.T) {
	inEachRole(t, func(t *testing.T, a, b *lab.Host, ta, tb *lab.Tunnel) {
		b.Ping(lab.InnerA4, 1)
		// A is restarted while B continues to send.
		in := a.Collect(4000)
		out := b.StartFlow(lab.Flow{Remote: addrPort("10.2.0.1:4000"), Size: 100, Interval: 50 * time.Millisecond})
		lab.Until(t, 10*time.Second, "packets arrive", func() (bool, string) { return len(a.Collected(in)) >= 5, "" })
		program := lab.Ours
		if len(a.PIDs(lab.Theirs)) == 1 {
			program = lab.Theirs
		}
		a.Daemon(program).Kill()
		killed := time.Now()
		lab.Until(t, 10*time.Second, "wg0 is gone", func() (bool, string) {
			return a.Run("ip link show wg0").Code != 0, ""
		})
		a.Must("%s wg0 && wg set wg0 listen-port 1234 private-key /etc/wg/wg0 peer %s endpoint 192.0.2.2:1235 allowed-ips 10.2.0.2/32,fd00:2::2/128", program, tb.Public)
		a.Must("ip addr add 10.2.0.1/24 dev wg0 && ip link set wg0 up")
		// A sends nothing, so B has to notice by itself.
		before := len(a.Collected(in)) // those that were received before it was killed
		lab.Until(t, 40*time.Second, "packets arrive again", func() (bool, string) {
			return len(a.Collected(in)) > before, ""
		})
		silence := a.Collected(in)[before].At.Sub(killed)
		t.Logf("packets arrive again after %v", silence)
		if silence > 16500*time.Millisecond {
			t.Errorf("packets arrive again after %v, want 16.5s at most", silence)
		}
		b.StopFlow(out)
	})
}

// A tunnel of wgd works inside one of wireguard-go, and the other way round. // A45
func TestTunnelInTheirTunnel(t *testing.T) {
	for _, c := range []struct{ outer, inner string }{{lab.Theirs, lab.Ours}, {lab.Ours, lab.Theirs}} {
		t.Run(strings.ReplaceAll(c.inner+" in "+c.outer, " ", "_"), func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Daemon: c.outer}, lab.Settings{Daemon: c.outer})
			b.Ping(lab.InnerA4, 1)
			ia := a.Tunnel(lab.Settings{Daemon: c.inner, Name: "wg1", Port: 4321, MTU: 1340, Addresses: []string{"10.3.0.1/24"}})
			ib := b.Tunnel(lab.Settings{Daemon: c.inner, Name: "wg1", MTU: 1340, Addresses: []string{"10.3.0.2/24"}})
			ia.Add(ib, lab.Peer{AllowedIPs: "10.3.0.2/32"})
			ib.Add(ia, lab.Peer{AllowedIPs: "10.3.0.1/32", Endpoint: "10.2.0.1:4321"})
			a.Echo()
			a.Sink(9)
			b.Sweep(lab.Sweep{Remote: addr("10.3.0.1"), From: 0, To: 1500, Step: 3})
			b.Stream(lab.Stream{Remote: addrPort("10.3.0.1:9"), Bytes: 16 << 20})
		})
	}
}
