package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// routed returns A and B with a router between them. The link between the router and B
// has the given MTU.
func routed(t *testing.T, mtu string) (a, b, r *lab.Host) {
	t.Helper()
	a, b, r = lab.NewHost(t, "a"), lab.NewHost(t, "b"), lab.NewHost(t, "r").Router()
	lab.Link(a, "eth0", []string{"192.0.2.1/24", "fd01::1/64"}, r, "eth0", []string{"192.0.2.254/24", "fd01::fe/64"})
	lab.Link(b, "eth0", []string{"198.51.100.1/24", "fd02::1/64"}, r, "eth1", []string{"198.51.100.254/24", "fd02::fe/64"})
	a.Must("ip route add default via 192.0.2.254 && ip -6 route add default via fd01::fe")
	b.Must("ip route add default via 198.51.100.254 && ip -6 route add default via fd02::fe && ip link set eth0 mtu %s", mtu)
	r.Must("ip link set eth1 mtu %s", mtu)
	return a, b, r
}

// The MTU of the path is smaller after the first hop. Over IPv4 the router fragments;
// over IPv6 the sender learns the MTU and fragments, also trains. // A46, B61
func TestNarrowPath(t *testing.T) {
	for _, c := range []struct{ name, endpoint string }{
		{"over IPv4", "192.0.2.1:1234"},
		{"over IPv6", "[fd01::1]:1234"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b, _ := routed(t, "1280")
			lab.Connect(a, b, c.endpoint, lab.Settings{}, lab.Settings{})
			a.Sink(9)
			b.Sink(9)
			b.Ping(lab.InnerA4, 1)
			// The first large packet in each direction may be lost, because it finds out the MTU.
			for _, h := range []*lab.Host{a, b} {
				h.Run("ping -n -c 2 -i 0.2 -W 1 -s 1300 10.2.0.1; ping -n -c 2 -i 0.2 -W 1 -s 1300 10.2.0.2")
			}
			b.Stream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":9"), Bytes: 16 << 20})
			a.Stream(lab.Stream{Remote: addrPort(lab.InnerB4 + ":9"), Bytes: 16 << 20})
			a.Stream(lab.Stream{Remote: addrPort("[" + lab.InnerB6 + "]:9"), Bytes: 16 << 20})
			a.Echo()
			b.Sweep(lab.Sweep{Remote: addr(lab.InnerA4), From: 1100, To: 1500})
			b.Sweep(lab.Sweep{Remote: addr(lab.InnerA6), From: 1100, To: 1500})
		})
	}
}

// A stream arrives complete although one in twenty packets is lost, in both directions
// and including handshakes. // A38, B34
func TestLossyPath(t *testing.T) {
	t.Parallel()
	a, b, r := routed(t, "1500")
	r.Must("nft add table inet l && nft 'add chain inet l f { type filter hook forward priority 0; }' && " +
		"nft add rule inet l f numgen random mod 20 == 0 drop")
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	b.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=1 net.wg.rekey_after_time=2")
	a.Sink(9)
	b.Stream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":9"), Bytes: 4 << 20})
	b.Stream(lab.Stream{Remote: addrPort("[" + lab.InnerA6 + "]:9"), Bytes: 4 << 20})
}

// Over IPv6, ICMP reports the MTU of the path. Over IPv4, a route names it, because
// datagrams without DF make no router report it. Then the status shows it, TCP connections
// are not fragmented outside, and the sender of a packet that would be is told. When the
// route is gone, so is what it named. // A46
func TestPathMTU(t *testing.T) {
	for _, c := range []struct {
		name, remote string // the address of A
		overhead     int
		source       string
		learn, undo  string // on B
	}{
		{"over IPv4", "192.0.2.1", 60, "route", "ip route add 192.0.2.1 via 198.51.100.254 mtu 1280", "ip route del 192.0.2.1"},
		{"over IPv6", "fd01::1", 80, "icmp", "ping -n -c 3 -i 0.2 -W 1 -s 1300 10.2.0.1 || true", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b, r := routed(t, "1500")
			r.Must("ip link set eth0 mtu 1280")
			a.Must("ip link set eth0 mtu 1280")
			lab.Connect(a, b, netip.AddrPortFrom(addr(c.remote), 1234).String(), lab.Settings{}, lab.Settings{})
			b.Must("wgconfig wg0 sysctl -w net.wg.path_mtu_probes=0") // they would find it as well
			a.Sink(9)
			b.Ping(lab.InnerA4, 1)
			line := "path-mtu: 1280\n\t\tpath-mtu-source: " + c.source + "\n"
			shown := func() (bool, string) {
				out := b.Must("wgconfig wg0")
				return strings.Contains(out, line), out
			}
			if known, _ := shown(); known {
				t.Error("the MTU of the path is shown before it can be known")
			}
			b.Must("%s", c.learn)
			lab.Until(t, time.Minute, "the MTU of the path is known", func() (bool, string) {
				b.Run("ping -n -c 1 -W 1 -s 1350 10.2.0.1")
				return shown()
			})
			lab.Until(t, time.Minute, "the sender inside is told", func() (bool, string) {
				b.Run("ping -n -c 1 -W 1 -M do -s 1300 10.2.0.1")
				out := b.Must("ip route get 10.2.0.1")
				return strings.Contains(out, fmt.Sprintf("mtu %d ", 1280-c.overhead)), out
			})
			b.Must("ip route flush cache")
			wire := b.Watch("eth0")
			b.Stream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":9"), Bytes: 4 << 20})
			for _, p := range some(t, b.Watched(wire)) {
				if p.Fragment && p.Out {
					t.Fatalf("a fragment: %v", p)
				}
			}
			if c.undo == "" {
				return
			}
			b.Must("%s", c.undo)
			lab.Until(t, time.Minute, "the MTU of the path is not known any more", func() (bool, string) {
				b.Ping(lab.InnerA4, 1)
				known, out := shown()
				return !known, out
			})
		})
	}
}
