package e2e

import (
	"testing"

	"wgd/test/lab"
)

// The default route goes into the tunnel, and the tunnel's own packets past it
// by their mark. // A53
func TestFirewallMark(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24", "fd00:2::1/64"}})
	tb := b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{"10.2.0.2/24", "fd00:2::2/64"}})
	ta.Add(tb, lab.Peer{AllowedIPs: "10.2.0.2/32,fd00:2::2/128"})
	tb.Add(ta, lab.Peer{AllowedIPs: "0.0.0.0/0,::/0", Endpoint: "192.0.2.1:1234"})
	a.Must("ip addr add 198.18.0.1/32 dev lo && ip addr add 2001:db8:18::1/128 dev lo")
	b.Must("wgconfig wg0 set fwmark 51820")
	for _, f := range []string{"-4", "-6"} {
		b.Must("ip %s route add default dev wg0 table 51820 && ip %s rule add not fwmark 51820 table 51820 && ip %s rule add table main suppress_prefixlength 0", f, f, f)
	}
	// Without the mark even the way to A, on our own wire, is a rule's: take it away.
	b.Must("ip route del 192.0.2.0/24 dev eth0; ip route add default via 192.0.2.1 dev eth0 onlink")
	b.Ping("198.18.0.1", 3)
	b.Ping("2001:db8:18::1", 3)
	wire := b.Watch("eth0")
	b.Ping("198.18.0.1", 3)
	for _, p := range b.Watched(wire) {
		if p.Proto == 1 {
			t.Errorf("a bare ping on the wire: %v", p)
		}
	}
	contains(t, b.Must("wg show wg0 fwmark"), "0xca6c")

	// Another mark, and the packets take the other rule: into the tunnel, where
	// they must not loop. The mark comes back, and so does the traffic.
	b.Must("wgconfig wg0 set fwmark 7")
	b.NoPing("198.18.0.1")
	b.Must("wgconfig wg0 set fwmark 0xca6c")
	b.Ping("198.18.0.1", 2)
}
