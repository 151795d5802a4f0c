package e2e

import (
	"slices"
	"testing"
	"time"

	"wgd/test/lab"
)

// Handshake messages have the DSCP AF41. Data messages have no DSCP, and the ECN bits of
// the inner packet, to which a mark of a congested router is copied. // A56
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
			ta, _ := lab.Connect(a, b, outer, lab.Settings{}, lab.Settings{Port: 1235})
			defer func() {
				a.Must("wg-ifconfig wg0 destroy")
				b.Must("wg-ifconfig wg0 destroy")
			}()
			checkECN(t, ta, a, b, r)
		})
	}
}

func checkECN(t *testing.T, ta *lab.Tunnel, a, b, r *lab.Host) {
	wire := b.Watch("eth0")
	b.Ping(lab.InnerA4, 1)
	for _, p := range some(t, b.WatchedUDP(wire, 1235)) {
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
			{0x00, 0x00, 0x00, 0x00}, // not ECN capable: the outer mark is not copied
			{0x02, 0x02, 0x02, 0x03},
			{0x01, 0x01, 0x01, 0x03},
			{0x03, 0x03, 0x03, 0x03},
			{0xb8 | 2, 0x02, 0xb8 | 2, 0xb8 | 3}, // the inner DSCP is not copied
		} {
			want := c.clear
			if congested {
				want = c.marked
			}
			for _, to := range []string{lab.InnerA4, lab.InnerA6} {
				marks, outer := sendMarked(t, a, b, to, c.sent)
				if len(marks) == 0 || slices.ContainsFunc(marks, func(mark byte) bool { return mark != want }) {
					t.Errorf("sent with %#x to %s, congested %v: received with %#x, want %#x", c.sent, to, congested, marks, want)
				}
				for _, p := range some(t, outer) {
					if p.TOS != c.outer {
						t.Errorf("inner %#x to %s: the outer TOS is %#x, want %#x", c.sent, to, p.TOS, c.outer)
					}
				}
			}
		}
	}
	r.Must("nft delete table inet m")
	if c := ta.Counts(); len(c.Drops) > 0 || c.Counters["ecn-unmarked"] == 0 {
		t.Errorf("dropped: %v, counted: %v; want some ecn-unmarked, and nothing dropped", c.Drops, c.Counters)
	}
}

// sendMarked sends three packets from b to a, and waits until all have arrived. It
// returns the TOS of each packet that arrived, which may be several joined ones, and
// the outer packets.
func sendMarked(t *testing.T, a, b *lab.Host, to string, tos byte) (marks []byte, outer []lab.Packet) {
	const size, count = 64, 3
	wire, inner := b.Watch("eth0"), a.Watch("wg0")
	b.Send(lab.Flow{Remote: addrPort(netJoin(to, 4001)), Size: size, Count: count, TOS: int(tos)})
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		arrived := 0
		marks = nil
		for _, p := range a.Watched(inner) {
			if p.Proto == 17 && !p.Out {
				marks = append(marks, p.TOS)
				arrived += p.Length
			}
		}
		if arrived >= size*count {
			return marks, messages(b.WatchedUDP(wire, 1235), data, true)
		}
		if time.Now().After(end) {
			t.Fatalf("sent with %#x to %s: %d of %d bytes arrived", tos, to, arrived, size*count)
		}
	}
}
