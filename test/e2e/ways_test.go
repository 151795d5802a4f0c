package e2e

import (
	"fmt"
	"testing"
	"time"

	"wgd/test/lab"
)

// twoWires makes A and B with two wires between them, eth0 and eth1. B sends from an
// address that is on neither wire, to A's address on one of them.
//
//	eth0  192.0.2.1   fd01::1     192.0.2.2   fd01::2
//	eth1  198.51.100.1 fd03::1    198.51.100.2 fd03::2
//	lo                            203.0.113.2 fd09::2
func twoWires(t *testing.T, v6 bool) (a, b *lab.Host, ip string) {
	t.Helper()
	a, b = lab.Pair(t)
	lab.Link(a, "eth1", []string{"198.51.100.1/24", "fd03::1/64"}, b, "eth1", []string{"198.51.100.2/24", "fd03::2/64"})
	b.Must("ip addr add 203.0.113.2/32 dev lo && ip addr add fd09::2/128 dev lo nodad")
	b.AwaitAddresses("lo")
	b.Must("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0")
	a.Must("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0")
	return a, b, pick(v6, "ip -4", "ip -6")
}

// wireAddrs returns the addresses of A and B on the wires, and far, B's other address.
func wireAddrs(v6 bool) (a0, a1, b0, b1, far, bits string) {
	if v6 {
		return "fd01::1", "fd03::1", "fd01::2", "fd03::2", "fd09::2", "/128"
	}
	return "192.0.2.1", "198.51.100.1", "192.0.2.2", "198.51.100.2", "203.0.113.2", "/32"
}

// movesTo has A ping until B's endpoint of A is want: A sends from another source after
// it has noticed a change of routes, and B follows what it receives.
func movesTo(t *testing.T, tb, ta *lab.Tunnel, want string) {
	t.Helper()
	lab.Until(t, 10*time.Second, "endpoint "+want, func() (bool, string) {
		ta.Host.Ping(lab.InnerB4, 1)
		got := tb.Peer(ta).Endpoint
		return got == want, got
	})
}

// A better route with another source appears while the old one stays, disappears, and
// comes back. Each time the source is chosen anew, the peer follows, and nothing is
// lost. // A52
func TestBetterRouteTakesItsSource(t *testing.T) {
	families(t, func(t *testing.T, v6 bool) {
		a, b, ip := twoWires(t, v6)
		a0, a1, b0, b1, far, bits := wireAddrs(v6)
		b.Must("%s route add %s%s dev eth0 src %s && %s route add %s%s dev eth1 src %s", ip, a0, bits, far, ip, a1, bits, far)
		a.Must("%s route add %s%s via %s metric 20", ip, far, bits, b0)
		ta, tb := lab.Connect(a, b, netJoin(a0, 1234), lab.Settings{}, lab.Settings{Port: 1235})
		b.Ping(lab.InnerA4, 3)
		if got := ta.Peer(tb).Endpoint; got != netJoin(far, 1235) {
			t.Fatalf("A's endpoint of B is %s: the test proves nothing", got)
		}
		// An unrelated route, and a worse one for the same destination.
		wire := a.Watch("eth0")
		a.Must("%s route add %s via %s && %s route add %s%s via %s metric 30", ip, pick(v6, "100.64.0.0/16", "fd77::/64"), b1, ip, far, bits, b1)
		b.Ping(lab.InnerA4, 5)
		a.Ping(lab.InnerB4, 3)
		endpointIs(t, tb, ta, netJoin(a0, 1234))

		in := a.Collect(4000)
		out := b.StartFlow(lab.Flow{Remote: addrPort(lab.InnerA4 + ":4000"), Size: 100, Interval: 10 * time.Millisecond})
		for range 2 {
			a.Must("%s route add %s%s via %s metric 10", ip, far, bits, b1)
			movesTo(t, tb, ta, netJoin(a1, 1234))
			a.Must("%s route del %s%s via %s metric 10", ip, far, bits, b1)
			movesTo(t, tb, ta, netJoin(a0, 1234))
		}
		sent := b.StopFlow(out)
		if got := summarize(a, in, sent); got.Lost > 0 {
			t.Errorf("meanwhile: %v of %d, errors %v", got, sent.Sent, sent.Errors)
		}
		if n := len(messages(a.WatchedUDP(wire, 1234), initiation, false)); n > 0 {
			t.Errorf("%d handshakes: the peer follows data", n)
		}
	})
}

// Rules by source give each source a routing table of its own, so a lookup from the
// source always has the same result. The one without a source counts. // A52
func TestRulesBySource(t *testing.T) {
	families(t, func(t *testing.T, v6 bool) {
		a, b, ip := twoWires(t, v6)
		a0, a1, b0, b1, far, bits := wireAddrs(v6)
		b.Must("%s route add %s%s dev eth0 src %s && %s route add %s%s dev eth1 src %s", ip, a0, bits, far, ip, a1, bits, far)
		a.Must("%s rule add from %s lookup 100 && %s route add default via %s table 100", ip, a0, ip, b0)
		a.Must("%s rule add from %s lookup 101 && %s route add default via %s table 101", ip, a1, ip, b1)
		a.Must("%s route add default via %s metric 20", ip, b0)
		ta, tb := lab.Connect(a, b, netJoin(a1, 1234), lab.Settings{}, lab.Settings{Port: 1235})
		first := a.Watch("eth0")
		b.Ping(lab.InnerA4, 3)
		a.Must("%s route add default via %s metric 15", ip, b0) // the same route
		a.Ping(lab.InnerB4, 3)
		b.Ping(lab.InnerA4, 3)
		endpointIs(t, tb, ta, netJoin(a1, 1234))
		if n := len(a.WatchedUDP(first, 1234)); n != 0 {
			t.Errorf("%d packets left by the wire of the other source", n)
		}

		b.Must("wgconfig wg0 set peer a --endpoint=%s", netJoin(a0, 1234))
		b.Ping(lab.InnerA4, 3)
		endpointIs(t, tb, ta, netJoin(a0, 1234))
		a.Must("%s route add default via %s metric 10", ip, b1)
		movesTo(t, tb, ta, netJoin(a1, 1234))
	})
}

// Rules by protocol or port choose the route. A route that is better for other packets
// leaves the source alone. // A52
func TestRulesByPort(t *testing.T) {
	for _, rule := range []string{"ipproto udp sport 1234", "ipproto udp dport 1235", "ipproto udp"} {
		t.Run(rule, func(t *testing.T) {
			families(t, func(t *testing.T, v6 bool) {
				a, b, ip := twoWires(t, v6)
				a0, a1, b0, b1, far, bits := wireAddrs(v6)
				service := pick(v6, "203.0.113.1", "fd09::1") // of A, on neither wire
				a.Must("ip addr add %s%s dev lo nodad", service, bits)
				a.AwaitAddresses("lo")
				b.Must("%s route add %s%s via %s src %s", ip, service, bits, a1, far)
				a.Must("%s rule add %s lookup 100 && %s route add %s%s via %s table 100", ip, rule, ip, far, bits, b1)
				a.Must("%s route add %s%s via %s metric 20", ip, far, bits, b0)
				ta, tb := lab.Connect(a, b, netJoin(service, 1234), lab.Settings{}, lab.Settings{Port: 1235})
				first, second := a.Watch("eth0"), a.Watch("eth1")
				b.Ping(lab.InnerA4, 3)
				for _, change := range []string{
					fmt.Sprintf("route add %s via %s", pick(v6, "100.64.0.0/16", "fd77::/64"), b0), // elsewhere
					fmt.Sprintf("route add %s%s via %s metric 10", far, bits, b0),                  // for others
					fmt.Sprintf("route del %s%s via %s metric 20", far, bits, b0),
				} {
					a.Must("%s %s", ip, change)
					a.Ping(lab.InnerB4, 3)
					b.Ping(lab.InnerA4, 3)
				}
				endpointIs(t, tb, ta, netJoin(service, 1234))
				if n := len(a.WatchedUDP(first, 1234)); n != 0 {
					t.Errorf("%d packets left by the wire that the rule does not choose", n)
				}
				for _, p := range a.WatchedUDP(second, 1234) {
					if p.Out && p.Src.Addr() != addr(service) {
						t.Errorf("sent from %v", p.Src)
					}
				}
				// Now the route that the rule chooses changes.
				a.Must("%s route replace %s%s via %s table 100", ip, far, bits, b0)
				b.Must("%s route add %s%s dev eth0 src %s", ip, a0, bits, far)
				movesTo(t, tb, ta, netJoin(a0, 1234))
			})
		})
	}
}

// Datagrams to A arrive by one wire, and replies leave by the other one: the first reply
// arrives, and so do all others. // A52
func TestAsymmetricRoutes(t *testing.T) {
	families(t, func(t *testing.T, v6 bool) {
		a, b, ip := twoWires(t, v6)
		a0, a1, b0, _, far, bits := wireAddrs(v6)
		b.Must("%s route add %s%s via %s src %s", ip, a0, bits, a1, far) // by eth1
		a.Must("%s route add %s%s via %s", ip, far, bits, b0)            // by eth0
		ta, tb := lab.Connect(a, b, netJoin(a0, 1234), lab.Settings{}, lab.Settings{Port: 1235})
		first, second := a.Watch("eth0"), a.Watch("eth1")
		for range 3 {
			if took := b.PingWithin(10*time.Second, lab.InnerA4); took > 2*time.Second {
				t.Errorf("the first ping was answered after %v", took)
			}
			b.Ping(lab.InnerA4, 3)
			a.Ping(lab.InnerB6, 3)
			b.Must("wg-ifconfig wg0 down && wg-ifconfig wg0 up") // another first handshake
			b.AwaitAddresses("wg0")
		}
		if got := ta.Peer(tb).Endpoint; got != netJoin(far, 1235) {
			t.Fatalf("A's endpoint of B is %s: the test proves nothing", got)
		}
		in, out := 0, 0
		for _, p := range a.WatchedUDP(second, 1234) {
			if p.Out {
				t.Errorf("left by the wrong wire: %v", p)
			}
			in++
		}
		for _, p := range a.WatchedUDP(first, 1234) {
			if p.Out {
				out++
			}
		}
		if in == 0 || out == 0 {
			t.Fatalf("%d datagrams arrived by one wire and %d left by the other: the test proves nothing", in, out)
		}
	})
}

// What is lost because no source address is left is counted as lost, not as sent. // A52
func TestLastAddressRemoved(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	b.Ping(lab.InnerA4, 1)
	a.Ping(lab.InnerB4, 1)
	wire := a.Watch("eth0")
	before, lost := ta.Peer(tb).Tx, dropped(t, ta, "send")
	out := a.StartFlow(lab.Flow{Remote: addrPort(lab.InnerB4 + ":4000"), Size: 100, Interval: 5 * time.Millisecond})
	lab.Until(t, 10*time.Second, "packets are sent", func() (bool, string) { return ta.Peer(tb).Tx > before, "" })
	a.Must("ip addr flush dev eth0")
	lab.Until(t, 10*time.Second, "packets count as lost", func() (bool, string) { return dropped(t, ta, "send") > lost, "" })
	sent := a.StopFlow(out)
	lab.Until(t, 5*time.Second, "the counter is that of the wire", func() (bool, string) {
		seen, grown := 0, int(ta.Peer(tb).Tx-before)
		for _, p := range a.WatchedUDP(wire, 1234) {
			if p.Out {
				seen += p.Length
			}
		}
		return grown == seen && seen > 0, fmt.Sprintf("%d bytes are counted as sent, %d were on the wire", grown, seen)
	})
	if n := dropped(t, ta, "send") - lost; n > sent.Sent {
		t.Errorf("%d packets count as lost, of %d", n, sent.Sent)
	}
}
