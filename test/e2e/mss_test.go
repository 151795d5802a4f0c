package e2e

import (
	"strings"
	"testing"

	"wgd/test/lab"
)

// behindTunnel returns A and B, which B's `wgd up` joins by a tunnel with an MTU of 1420,
// and C, a client that reaches A only through B. No ICMP error reaches C. more are further
// lines of B's [Interface].
func behindTunnel(t *testing.T, more string) (a, b, c *lab.Host) {
	t.Helper()
	a, b = lab.Pair(t)
	c = lab.NewHost(t, "c")
	lab.Link(c, "eth0", []string{"10.9.0.2/24", "fd09::2/64"}, b.Router(), "eth1", []string{"10.9.0.1/24", "fd09::1/64"})
	c.Must("ip route add default via 10.9.0.1 && ip -6 route add default via fd09::1")
	b.Must("nft add table inet n && nft 'add chain inet n o { type filter hook output priority 0; }' && " +
		"nft add rule inet n o oif eth1 icmp type destination-unreachable drop && " +
		"nft add rule inet n o oif eth1 icmpv6 type packet-too-big drop")
	privateA, publicA := keyPair(a)
	privateB, publicB := keyPair(b)
	a.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privateA+`
ListenPort = 1234
Address = 10.2.0.1/24, fd00:2::1/64
MTU = 9000
# MSSClamp = off
[Peer]
PublicKey = `+publicB+`
AllowedIPs = 10.2.0.2/32, fd00:2::2/128, 10.9.0.0/24, fd09::/64
`)
	b.Write("/etc/wireguard/wg0.conf", `[Interface]
PrivateKey = `+privateB+`
Address = 10.2.0.2/24, fd00:2::2/64
MTU = 1420
`+more+`
[Peer]
PublicKey = `+publicA+`
AllowedIPs = 10.2.0.1/32, fd00:2::1/128
Endpoint = 192.0.2.1:1234
`)
	a.Must("wgd up wg0")
	b.Must("wgd up wg0")
	return a, b, c
}

// A host behind the tunnel does not know its MTU and gets no ICMP errors. Its TCP
// connections pass in both families, because the tunnel reduces the MSS that they agree on.
func TestMSSClamp(t *testing.T) {
	t.Parallel()
	a, b, c := behindTunnel(t, "")
	a.Sink(9)
	b.Ping(lab.InnerA4, 1)
	for _, to := range []string{lab.InnerA4 + ":9", "[" + lab.InnerA6 + "]:9"} {
		c.Stream(lab.Stream{Remote: addrPort(to), Bytes: 1 << 20})
	}
	c.Sink(9)
	a.Stream(lab.Stream{Remote: addrPort("10.9.0.2:9"), Bytes: 1 << 20})
	if out := b.Must("wgconfig wg0"); strings.Contains(out, "mss-clamp") {
		t.Errorf("the MSS is reduced, but the status says\n%s", out)
	}
	contains(t, a.Must("wgconfig wg0"), "mss-clamp: off\n")
}
