package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wgd/test/lab"
)

// The default route leads into the tunnel. The outer packets of the tunnel have a mark,
// and take another route. // A53
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
	// Remove the route of the link, so that packets without the mark reach A only by the
	// rules.
	b.Must("ip route del 192.0.2.0/24 dev eth0; ip route add default via 192.0.2.1 dev eth0 onlink")
	b.Ping("198.18.0.1", 3)
	b.Ping("2001:db8:18::1", 3)
	wire := b.Watch("eth0")
	b.Ping("198.18.0.1", 3)
	for _, p := range some(t, b.Watched(wire)) {
		if p.Proto == 1 {
			t.Errorf("a ping outside the tunnel: %v", p)
		}
	}
	contains(t, b.Must("wg show wg0 fwmark"), "0xca6c")

	// With another mark the outer packets are routed into the tunnel, where they must
	// not loop. With the first mark again, the tunnel works again.
	b.Must("wgconfig wg0 set fwmark 7")
	b.NoPing("198.18.0.1")
	b.Must("wgconfig wg0 set fwmark 0xca6c")
	b.Ping("198.18.0.1", 2)

	// Strict reverse path filtering drops A's datagrams, because they have no mark,
	// until they get the mark of the packets that they answer: docs/operations.md.
	b.Must("sysctl -qw net.ipv4.conf.all.rp_filter=1")
	b.NoPing("198.18.0.1")
	b.Must("sysctl -qw net.ipv4.conf.all.src_valid_mark=1")
	b.NoPing("198.18.0.1")
	b.Write("/run/marks", strings.ReplaceAll(passage(t, "    table inet wgd {", "    }\n"), "0x1234", "51820"))
	b.Must("nft -f /run/marks")
	b.Ping("198.18.0.1", 2)
	b.Must("nft flush ruleset")
	b.NoPing("198.18.0.1")
	b.Must("sysctl -qw net.ipv4.conf.all.rp_filter=2")
	b.Ping("198.18.0.1", 2)
}

// passage returns a part of docs/operations.md, from one line to another.
func passage(t *testing.T, from, to string) string {
	t.Helper()
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n"+from)
	part, _, ends := strings.Cut(after, "\n"+to)
	if !found || !ends {
		t.Fatalf("docs/operations.md has nothing from %q to %q", from, to)
	}
	return from + part + "\n" + to
}
