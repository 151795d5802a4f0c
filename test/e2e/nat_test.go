package e2e

import (
	"testing"
	"time"

	"wgd/test/lab"
)

// natted returns a host A with a public address, and B behind a NAT that forgets a
// flow after some seconds without packets, and then assigns another port to it.
func natted(t *testing.T, seconds int) (a, b *lab.Host, ta, tb *lab.Tunnel) {
	t.Helper()
	a, b = lab.NewHost(t, "a"), lab.NewHost(t, "b")
	nat := lab.NewHost(t, "nat").Router()
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, nat, "eth0", []string{"192.0.2.254/24"})
	lab.Link(b, "eth0", []string{"10.0.0.2/24"}, nat, "eth1", []string{"10.0.0.1/24"})
	b.Must("ip route add default via 10.0.0.1")
	nat.Must("nft add table ip nat && "+
		"nft 'add chain ip nat post { type nat hook postrouting priority 100; }' && "+
		"nft add rule ip nat post oifname eth0 masquerade fully-random && "+
		"sysctl -qw net.netfilter.nf_conntrack_udp_timeout=%[1]d net.netfilter.nf_conntrack_udp_timeout_stream=%[1]d", seconds)
	ta, tb = lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	return a, b, ta, tb
}

// After a pause the NAT assigns another port to B. A learns it from the next data of B.
// A51, B13
func TestNATForgets(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := natted(t, 2)
	b.Ping(lab.InnerA4, 2)
	before := ta.Peer(tb)
	time.Sleep(4 * time.Second)
	b.Ping(lab.InnerA4, 2)
	a.Ping(lab.InnerB4, 2)
	after := ta.Peer(tb)
	if before.Endpoint == after.Endpoint {
		t.Errorf("the NAT kept %s: this test proves nothing", before.Endpoint)
	}
	if !before.Handshake.Equal(after.Handshake) {
		t.Errorf("there was a handshake at %v, want none: data is enough", after.Handshake)
	}
}

// A persistent keepalive keeps the port of the NAT, so that A can send first. // A41
func TestKeepaliveThroughNAT(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := natted(t, 4)
	b.Must("wgconfig wg0 set peer a --persistent-keepalive=1")
	lab.Until(t, 15*time.Second, "the first handshake", func() (bool, string) {
		p := ta.Peer(tb)
		return !p.Handshake.IsZero(), p.Endpoint
	})
	time.Sleep(7 * time.Second)
	before := ta.Peer(tb).Endpoint
	a.Ping(lab.InnerB4, 3)
	if after := ta.Peer(tb).Endpoint; after != before {
		t.Errorf("the port changed from %s to %s", before, after)
	}
}
