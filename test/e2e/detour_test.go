package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// TCP super-packets with a source route or a routing header arrive with correct
// checksums: these cover the last address of the route, not that of the next hop, which
// is in the IP header.
func TestSourceRoutedStreams(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	b.Must("wgconfig wg0 set peer a --allowed-ips=10.2.0.1/32,10.9.0.9/32,fd00:2::1/128,fd00:9::9/128")
	a.Must("ip addr add 10.9.0.9/32 dev lo && ip addr add fd00:9::9/128 dev lo")
	a.AwaitAddresses("lo")
	a.Must("for i in all wg0; do sysctl -qw net.ipv4.conf.$i.accept_source_route=1 net.ipv6.conf.$i.seg6_enabled=1; done")
	b.Must("sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.wg0.accept_source_route=1")
	b.Must("ip route add 10.9.0.9/32 dev wg0")
	b.Must("ip route add fd00:9::9/128 encap seg6 mode inline segs fd00:2::1 dev wg0")
	a.Sink(4000)
	for _, s := range []lab.Stream{
		{Remote: netip.MustParseAddrPort("10.9.0.9:4000"), Via: netip.MustParseAddr("10.2.0.1")},
		{Remote: netip.MustParseAddrPort("[fd00:9::9]:4000")},
	} {
		s.Bytes, s.Wait = 20<<20, 30*time.Second
		got := b.Stream(s)
		t.Logf("%v: %.0f Mbit/s", s.Remote, got.Bits()/1e6)
		if wrong := tcpChecksumErrors(a); wrong != "0" {
			t.Errorf("%v: %s segments arrived with a wrong checksum", s.Remote, wrong)
		}
	}
}

// tcpChecksumErrors returns how many TCP segments with wrong checksums a host has
// received.
func tcpChecksumErrors(h *lab.Host) string {
	return strings.TrimSpace(h.Must("awk '/^Tcp:/ { n = $NF } END { print n }' /proc/net/snmp"))
}
