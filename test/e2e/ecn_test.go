package e2e

import (
	"testing"
	"time"

	"wgd/test/lab"
)

// Handshakes carry AF41; data carries no DSCP, and the ECN bits of the packet
// within, which get the mark of a congested router outside. // A56
func TestECN(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	r := lab.NewHost(t, "r").Router()
	lab.Link(a, "eth0", []string{"192.0.2.1/24", "fd01::1/64"}, r, "eth0", []string{"192.0.2.254/24", "fd01::fe/64"})
	lab.Link(b, "eth0", []string{"198.51.100.1/24", "fd02::1/64"}, r, "eth1", []string{"198.51.100.254/24", "fd02::fe/64"})
	a.Must("ip route add default via 192.0.2.254 && ip -6 route add default via fd01::fe")
	b.Must("ip route add default via 198.51.100.254 && ip -6 route add default via fd02::fe")
	for _, outer := range []string{"192.0.2.1:1234", "[fd01::1]:1234"} {
		t.Run(outer, func(t *testing.T) {
			ta, tb := lab.Connect(a, b, outer, lab.Settings{}, lab.Settings{Port: 1235})
			defer func() {
				a.Must("wg-ifconfig wg0 destroy")
				b.Must("wg-ifconfig wg0 destroy")
				_, _ = ta, tb
			}()
			checkECN(t, a, b, r)
		})
	}
}

func checkECN(t *testing.T, a, b, r *lab.Host) {
	wire := b.Watch("eth0")
	b.Ping(lab.InnerA4, 1)
	for _, p := range b.WatchedUDP(wire, 1235) {
		want := byte(0)
		if p.Payload[0] != data {
			want = 0x88
		}
		if p.TOS != want {
			t.Errorf("%v: the outer TOS is %#x, want %#x", p, p.TOS, want)
		}
	}
	for _, congested := range []bool{false, true} {
		if congested {
			r.Must("nft add table inet m && nft 'add chain inet m f { type filter hook forward priority 0; }' && " +
				"nft add rule inet m f udp dport 1234 ip ecn set ce && nft add rule inet m f udp dport 1234 ip6 ecn set ce")
		}
		for _, c := range []struct{ sent, outer, clear, marked byte }{
			{0x00, 0x00, 0x00, 0xff}, // not ECN capable: marked outside, it is dropped
			{0x02, 0x02, 0x02, 0x03},
			{0x01, 0x01, 0x01, 0x03},
			{0x03, 0x03, 0x03, 0x03},
			{0xb8 | 2, 0x02, 0xb8 | 2, 0xb8 | 3}, // the inner DSCP stays inside
		} {
			want := c.clear
			if congested {
				want = c.marked
			}
			for _, to := range []string{lab.InnerA4, lab.InnerA6} {
				wire, inner := b.Watch("eth0"), a.Watch("wg0")
				b.Send(lab.Flow{Remote: addrPort(netJoin(to, 4001)), Size: 64, Count: 3, TOS: int(c.sent)})
				time.Sleep(150 * time.Millisecond)
				for _, p := range messages(b.WatchedUDP(wire, 1235), data, true) {
					if p.TOS != c.outer {
						t.Errorf("inner %#x to %s: the outer TOS is %#x, want %#x", c.sent, to, p.TOS, c.outer)
					}
				}
				n := 0
				for _, p := range a.Watched(inner) {
					if p.Proto != 17 || p.Out {
						continue
					}
					n++
					if p.TOS != want {
						t.Errorf("sent with %#x to %s, congested %v: received with %#x, want %#x", c.sent, to, congested, p.TOS, want)
					}
				}
				if want == 0xff && n > 0 || want != 0xff && n == 0 {
					t.Errorf("sent with %#x to %s, congested %v: %d arrived", c.sent, to, congested, n)
				}
			}
		}
	}
	r.Must("nft delete table inet m")
}
