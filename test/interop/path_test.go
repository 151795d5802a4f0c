package interop

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// narrow returns A and B with two routers between them, and a link of 1280 bytes between
// these. No ICMP error leaves the routers.
func narrow(t *testing.T) (a, b *lab.Host) {
	t.Helper()
	a, b = lab.NewHost(t, "a"), lab.NewHost(t, "b")
	r, s := lab.NewHost(t, "r").Router(), lab.NewHost(t, "s").Router()
	lab.Link(a, "eth0", []string{"192.0.2.1/24", "fd01::1/64"}, r, "eth0", []string{"192.0.2.254/24", "fd01::fe/64"})
	lab.Link(r, "eth1", []string{"203.0.113.1/24", "fd03::1/64"}, s, "eth1", []string{"203.0.113.2/24", "fd03::2/64"})
	lab.Link(b, "eth0", []string{"198.51.100.1/24", "fd02::1/64"}, s, "eth0", []string{"198.51.100.254/24", "fd02::fe/64"})
	a.Must("ip route add default via 192.0.2.254 && ip -6 route add default via fd01::fe")
	b.Must("ip route add default via 198.51.100.254 && ip -6 route add default via fd02::fe")
	r.Must("ip link set eth1 mtu 1280 && ip route add default via 203.0.113.2 && ip -6 route add default via fd03::2")
	s.Must("ip link set eth1 mtu 1280 && ip route add default via 203.0.113.1 && ip -6 route add default via fd03::1")
	for _, h := range []*lab.Host{r, s} {
		h.Must("nft add table inet n && nft 'add chain inet n o { type filter hook output priority 0; }' && " +
			"nft add rule inet n o icmp type destination-unreachable drop && nft add rule inet n o icmpv6 type packet-too-big drop")
	}
	return a, b
}

// Wireguard-go, at one end, does not know that the path is narrow, and no ICMP tells it. Over
// IPv6 all of its full packets are lost; over IPv4 those that it sends alone, with DF. It is
// enough that wgd knows: TCP connections that either end opens pass in both directions, over
// both families and in both. // A45, A46
func TestNarrowPathKnownToOneEnd(t *testing.T) {
	for _, c := range []struct{ name, endpoint, learn string }{
		{"over IPv4", "192.0.2.1:1234", "ip route add 192.0.2.0/24 via 198.51.100.254 mtu 1280"},
		{"over IPv6", "[fd01::1]:1234", "ip -6 route add fd01::/64 via fd02::fe mtu 1280"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := narrow(t)
			b.Must("%s", c.learn)
			lab.Connect(a, b, c.endpoint, lab.Settings{Daemon: lab.Theirs}, lab.Settings{Port: 1235})
			a.Sink(9)
			b.Sink(9)
			b.Ping(lab.InnerA4, 1)
			for _, to := range []string{lab.InnerA4, lab.InnerA6} {
				b.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(to), 9), Bytes: 1 << 20})
			}
			for _, to := range []string{lab.InnerB4, lab.InnerB6} {
				a.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(to), 9), Bytes: 1 << 20})
			}
		})
	}
}

// Neither end knows that the path is narrow, and no ICMP tells them. wgd finds it out by
// probes, and what it finds is in the status. The first TCP connection in each direction
// stalls for a few seconds at most, whichever end opens the first one, and later ones do not,
// in both families.
func TestNarrowPathUnknown(t *testing.T) {
	const stall, noStall = 15 * time.Second, 5 * time.Second
	for _, c := range []struct{ name, endpoint string }{{"over IPv4", "192.0.2.1:1234"}, {"over IPv6", "[fd01::1]:1234"}} {
		for _, first := range []string{"wgd first", "wireguard-go first"} {
			t.Run(c.name+", "+first, func(t *testing.T) {
				t.Parallel()
				a, b := narrow(t)
				lab.Connect(a, b, c.endpoint, lab.Settings{Daemon: lab.Theirs}, lab.Settings{Port: 1235})
				a.Sink(9)
				b.Sink(9)
				b.Ping(lab.InnerA4, 1)
				stream := func(h *lab.Host, to string, limit time.Duration) {
					got := h.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(to), 9), Bytes: 1 << 20})
					if got.Took > limit {
						t.Errorf("1 MiB from host %s to %s took %v, want at most %v", h.Name, to, got.Took, limit)
					}
				}
				if first == "wgd first" {
					stream(b, lab.InnerA4, stall)
					stream(a, lab.InnerB4, stall)
				} else {
					stream(a, lab.InnerB4, stall)
					stream(b, lab.InnerA4, stall)
				}
				lab.Until(t, time.Minute, "the MTU of the path is known", func() (bool, string) {
					out := b.Must("wgconfig wg0")
					return strings.Contains(out, "path-mtu: 1280\n") && strings.Contains(out, "path-mtu-source: probe\n"), out
				})
				for _, to := range []string{lab.InnerA4, lab.InnerA6} {
					stream(b, to, noStall)
				}
				for _, to := range []string{lab.InnerB4, lab.InnerB6} {
					stream(a, to, noStall)
				}
			})
		}
	}
}

// Nothing at wireguard-go's host answers probes. Over IPv6, where full packets would be lost,
// TCP connections are cautious from the beginning, so that none stalls. In a pause of the
// traffic the keepalives of wireguard-go tell what the path carries. // A40, A46
func TestNarrowPathUnknownNoPings(t *testing.T) {
	const noStall = 5 * time.Second
	for _, c := range []struct{ name, endpoint string }{{"over IPv4", "192.0.2.1:1234"}, {"over IPv6", "[fd01::1]:1234"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := narrow(t)
			lab.Connect(a, b, c.endpoint, lab.Settings{Daemon: lab.Theirs}, lab.Settings{Port: 1235})
			a.Must("nft add table inet q && nft 'add chain inet q i { type filter hook input priority 0; }' && " +
				"nft add rule inet q i iifname wg0 icmp type echo-request drop && nft add rule inet q i iifname wg0 icmpv6 type echo-request drop")
			a.Sink(9)
			b.Sink(9)
			streams := func() {
				for _, s := range []struct {
					from *lab.Host
					to   string
				}{{b, lab.InnerA4}, {a, lab.InnerB4}, {b, lab.InnerA6}, {a, lab.InnerB6}} {
					got := s.from.Stream(lab.Stream{Remote: netip.AddrPortFrom(addr(s.to), 9), Bytes: 1 << 20})
					if got.Took > noStall {
						t.Errorf("1 MiB from host %s to %s took %v, want at most %v", s.from.Name, s.to, got.Took, noStall)
					}
				}
			}
			streams()
			lab.Until(t, 2*time.Minute, "the MTU of the path is known", func() (bool, string) {
				out := b.Must("wgconfig wg0")
				return strings.Contains(out, "path-mtu: 1280\n") && strings.Contains(out, "path-mtu-source: probe\n"), out
			})
			streams()
		})
	}
}
