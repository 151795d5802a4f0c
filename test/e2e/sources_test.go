package e2e

import (
	"testing"
	"time"

	"wgd/test/lab"
)

// Replies have the source address to which the peer sent, even if it is not the first
// of the interface. If that address is removed, they have another one. // A52
func TestTwoAddresses(t *testing.T) {
	for _, c := range []struct{ name, first, second, remove string }{
		{"IPv4", "192.0.2.1:1234", "192.0.2.11:1234", "192.0.2.11/24"},
		{"IPv6", "[fd01::1]:1234", "[fd01::11]:1234", "fd01::11/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			a.Must("ip addr add 192.0.2.11/24 dev eth0 && ip addr add fd01::11/64 dev eth0 preferred_lft 0")
			a.AwaitAddresses("eth0")
			ta, tb := lab.Connect(a, b, c.second, lab.Settings{}, lab.Settings{Port: 1235})
			wire := a.Watch("eth0")
			b.Ping(lab.InnerA4, 3)
			b.Ping(lab.InnerA6, 3)
			a.Ping(lab.InnerB4, 3)
			for _, p := range some(t, a.WatchedUDP(wire, 1234)) {
				if p.Out && p.Src.String() != c.second {
					t.Errorf("sent from %v, want the address to which B sends, %s", p.Src, c.second)
				}
			}
			if got := tb.Peer(ta).Endpoint; got != c.second {
				t.Errorf("B's endpoint of A is %s", got)
			}

			// The address is removed while A sends. No packet is lost.
			in := b.Collect(4000)
			out := a.StartFlow(lab.Flow{Remote: addrPort(lab.InnerB4 + ":4000"), Size: 100, Interval: 10 * time.Millisecond})
			time.Sleep(300 * time.Millisecond)
			a.Must("ip addr del %s dev eth0", c.remove)
			time.Sleep(700 * time.Millisecond)
			sent := a.StopFlow(out)
			if got := summarize(b, in, sent); got.Lost > 0 || got.Late > 0 {
				t.Errorf("while the source address was removed: %v of %d", got, sent.Sent)
			}
			endpointIs(t, tb, ta, c.first)
			b.Ping(lab.InnerA4, 2)
		})
	}
}

// With two links, replies are sent on the link on which the request came, although
// the routing table prefers the other one. // A52
func TestTwoWires(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	lab.Link(a, "eth1", []string{"198.51.100.1/24"}, b, "eth1", []string{"198.51.100.2/24"})
	b.Must("ip addr add 203.0.113.2/32 dev lo && ip route add 192.0.2.1/32 dev eth0 src 203.0.113.2 && ip route add 198.51.100.1/32 dev eth1 src 203.0.113.2")
	a.Must("ip route add 203.0.113.2/32 via 192.0.2.2 metric 10 && ip route add 203.0.113.2/32 via 198.51.100.2 metric 20")
	ta, tb := lab.Connect(a, b, "198.51.100.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	first, second := a.Watch("eth0"), a.Watch("eth1")
	b.Ping(lab.InnerA4, 3)
	if got := ta.Peer(tb).Endpoint; got != "203.0.113.2:1235" {
		t.Fatalf("A's endpoint of B is %s: this test proves nothing", got)
	}
	if n := len(a.WatchedUDP(first, 1234)); n != 0 {
		t.Errorf("%d packets on the link that the routing table prefers, want all on the other", n)
	}
	for _, p := range some(t, a.WatchedUDP(second, 1234)) {
		if p.Out && p.Src.String() != "198.51.100.1:1234" {
			t.Errorf("sent from %v, want 198.51.100.1:1234", p.Src)
		}
	}
	// The link goes down: A sends on the other one.
	a.Must("ip link set eth1 down")
	a.PingWithin(10*time.Second, lab.InnerB4)
	endpointIs(t, tb, ta, "192.0.2.1:1234")
}
