package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/explain"
	"wgd/internal/resolve/dns/dnstest"
	"wgd/test/lab"
)

// nameServer starts a name server on a host, and makes it the one that the host asks.
func nameServer(t *testing.T, h *lab.Host) *dnstest.Server {
	t.Helper()
	s := dnstest.StartOn(t, h.PID(), "127.0.0.1")
	h.Write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	h.Write("/etc/nsswitch.conf", "hosts: files dns\n")
	return s
}

// drops makes a host drop what arrives for, or comes from, an address and a UDP port of
// the tunnel.
func drops(h *lab.Host, match string) {
	h.Must("nft 'add table inet drops; add chain inet drops in { type filter hook input priority 0; }; add rule inet drops in %s drop'", match)
}

// lookedUp waits until a name was looked up again.
func lookedUp(t *testing.T, s *dnstest.Server, name string) {
	t.Helper()
	before := s.Asked(name)
	lab.Until(t, 60*time.Second, "another lookup of "+name, func() (bool, string) { return s.Asked(name) > before, "none" })
}

// settles waits until a name was not looked up for some seconds: a link that has just come
// up is a change of the network, for which names are looked up again.
func settles(s *dnstest.Server, name string) {
	for before := -1; before < s.Asked(name); time.Sleep(2500 * time.Millisecond) {
		before = s.Asked(name)
	}
}

// known waits until a peer has an endpoint.
func known(t *testing.T, h *lab.Host, peer string) {
	t.Helper()
	lab.Until(t, 60*time.Second, "an endpoint of "+peer, func() (bool, string) {
		out := h.Must("wgconfig wg0 show peer %s", peer)
		return !strings.Contains(out, "endpoint: (none)"), out
	})
}

// named returns a pair of hosts of which a knows the other by the name b.example.
func named(t *testing.T, ttl uint32, addrs ...string) (a, b *lab.Host, ta, tb *lab.Tunnel, s *dnstest.Server) {
	t.Helper()
	a, b, ta, tb = pair(t)
	s = nameServer(t, a)
	s.SetAddrs("b.example", ttl, addrs...)
	return a, b, ta, tb, s
}

// A changed record is in use within the lesser of its TTL and 15 s of silence, while
// neither end is touched: nothing passes any more between a and b's old address.
func TestRecordChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		ttl   uint32
		limit time.Duration
	}{
		{"silence", 3600, 15 * time.Second},
		{"TTL", 3, 9 * time.Second}, // a lookup because of silence would be after 10 s
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b, _, _, s := named(t, c.ttl, "192.0.2.2")
			b.Must("ip addr add 192.0.2.22/24 dev eth0")
			a.Must("wgconfig wg0 set peer b --endpoint=b.example:1235")
			known(t, a, "b")
			a.Ping(lab.InnerB4, 1)
			if c.ttl > 60 {
				settles(s, "b.example")
			}
			s.SetAddrs("b.example", c.ttl, "192.0.2.22")
			drops(a, "ip saddr 192.0.2.2 udp sport 1235")
			drops(b, "ip daddr 192.0.2.2 udp dport 1235")
			if took := a.PingWithin(40*time.Second, lab.InnerB4); took > c.limit {
				t.Errorf("the new address was in use after %v, want at most %v", took, c.limit)
			}
			contains(t, a.Must("wgconfig wg0 show peer b"), "endpoint: 192.0.2.22:1235")
		})
	}
}

// The addresses of a name are tried in turn, IPv6 and IPv4, one for each handshake that
// is not answered, until one answers.
func TestAddressesInTurn(t *testing.T) {
	t.Parallel()
	a, b, _, _, _ := named(t, 3600, "192.0.2.98", "192.0.2.2", "fd01::98", "fd01::99")
	b.Must("for i in 192.0.2.98/24 fd01::98/64 fd01::99/64; do ip addr add $i dev eth0; done")
	b.AwaitAddresses("eth0")
	drops(b, "ip daddr 192.0.2.98")
	drops(b, "ip6 daddr { fd01::98, fd01::99 } udp dport 1235")
	hasty(a)
	a.Must("wgconfig wg0 set peer b --endpoint=b.example:1235")
	known(t, a, "b")
	a.PingWithin(50*time.Second, lab.InnerB4)
	var tried []string
	for line := range strings.Lines(a.Must("grep 'handshake initiation sent' /run/wgd.log")) {
		_, after, _ := strings.Cut(line, "endpoint=")
		endpoint, _, _ := strings.Cut(after, " ")
		tried = append(tried, endpoint)
	}
	want := []string{"[fd01::98]:1235", "192.0.2.98:1235", "[fd01::99]:1235", "192.0.2.2:1235"}
	if len(tried) < len(want) || !slices.Equal(tried[:len(want)], want) {
		t.Errorf("tried %v, want first %v", tried, want)
	}
}

// If this computer has no route to an address, the same message goes to the next one at
// once.
func TestAddressWithoutRoute(t *testing.T) {
	t.Parallel()
	a, _, _, _, _ := named(t, 3600, "192.0.2.2", "2001:db8::2")
	a.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=60 net.wg.rekey_attempt_time=60")
	a.Must("wgconfig wg0 set peer b --endpoint=b.example:1235")
	known(t, a, "b")
	a.PingWithin(30*time.Second, lab.InnerB4)
	contains(t, a.Must("cat /run/wgd.log"), `endpoint=[2001:db8::2]:1235`)
}

// Lookups that fail are repeated for ever, whether the name server says that it cannot
// tell or nothing at all. Meanwhile the status and wgd explain say so, and an address
// that was found before stays in use. // B63
func TestNameServerFails(t *testing.T) {
	t.Parallel()
	a, b, ta, tb, s := named(t, 1, "192.0.2.2")
	failed := dnstest.Entry{RCode: dnstest.ServerFailure}
	says := func(want string) {
		t.Helper()
		lab.Until(t, 60*time.Second, "endpoint-failure: "+want, func() (bool, string) {
			out := a.Must("wgconfig wg0 show peer b")
			return strings.Contains(out, "endpoint-failure: ") && strings.Contains(out, want), out
		})
	}
	s.Set("b.example", failed)
	a.Must("wgconfig wg0 set peer b --endpoint=b.example:1235")
	says("the name server 127.0.0.1 cannot tell")
	lookedUp(t, s, "b.example")
	s.Set("b.example", dnstest.Entry{Silent: true})
	says("the name server 127.0.0.1 does not answer")
	lookedUp(t, s, "b.example")
	explains(t, a, "wg0 b", explain.NameUnknown, "the name of the endpoint b.example:1235 does not resolve", "127.0.0.1 does not answer", "no address to send to", "/etc/resolv.conf")
	contains(t, a.Must("wgconfig wg0 show peer b"), "\tcause: the name of the endpoint b.example:1235 does not resolve")
	if e := ta.Peers()[0].Endpoint; e != "(none)" {
		t.Fatalf("the endpoint is %s, but no name server has told it", e)
	}
	s.SetAddrs("b.example", 1, "192.0.2.2")
	a.Must("ip route add default via 192.0.2.2") // the network has changed: the pause, of up to 30 s, ends
	known(t, a, "b")
	a.Ping(lab.InnerB4, 1)

	s.Set("b.example", failed)
	says("the name server 127.0.0.1 cannot tell")
	lookedUp(t, s, "b.example")
	a.Ping(lab.InnerB4, 3)
	contains(t, a.Must("wgconfig wg0 show peer b"), "endpoint: 192.0.2.2:1235")
	explains(t, a, "wg0 b", "", "works")

	log := a.Must("cat /run/wgd.log")
	about := "interface=wg0 peer=b key=" + digits(t, tb)
	for _, line := range []string{
		`msg="the name of the endpoint does not resolve" ` + about + ` why="\"b.example\": the name server 127.0.0.1 cannot tell: it answers SERVFAIL"`,
		`msg="the name of the endpoint does not resolve" ` + about + ` why="\"b.example\": the name server 127.0.0.1 does not answer`,
		`msg="the name of the endpoint has an address" ` + about + ` endpoint=192.0.2.2:1235`,
	} {
		contains(t, log, line)
	}
	contains(t, log, `msg="the name of the endpoint resolves again" `+about)

	hasty(a)
	b.Must("wg-ifconfig wg0 down")
	a.Must("wg-ifconfig wg0 down up") // instead of 15 s of silence
	a.NoPing(lab.InnerB4)
	explains(t, a, "wg0 b", explain.NameUnknown, "Its last address, 192.0.2.2, is still tried")
}

// wgd up waits for the addresses of names, because the MTU depends on the routes to them,
// but not longer than 5 s: then it warns, and the tunnel is up as soon as the name is
// known.
func TestUpWaitsForNames(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	privateA, publicA := keyPair(a)
	privateB, publicB := keyPair(b)
	writeServer(a, privateA, publicB, "10.2.0.2/32")
	a.Must("wgd up wg0")
	b.Write("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = "+privateB+"\nAddress = 10.2.0.2/24\n[Peer]\nPublicKey = "+publicA+
		"\n# Name = a\nAllowedIPs = 10.2.0.1/32\nEndpoint = a.example:1234\n")
	b.Must("ip route add 192.0.2.1/32 dev eth0 mtu 1400")
	s := nameServer(t, b)
	late := dnstest.Entry{Addrs: []netip.Addr{addr("192.0.2.1")}, TTL: 3600, Delay: 700 * time.Millisecond}
	s.Set("a.example", late)
	if r := b.Run("wgd up wg0"); r.Code != 0 || r.Err != "" || r.Took < late.Delay {
		t.Fatalf("exit status %d after %v, and says:\n%s", r.Code, r.Took, r.Err)
	}
	contains(t, b.Must("wg-ifconfig wg0"), "mtu 1320")
	b.Ping(lab.InnerA4, 1)
	b.Must("wgd down wg0")

	s.Set("a.example", dnstest.Entry{Silent: true})
	b.Write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
	r := b.Run("wgd up wg0")
	if r.Code != 0 || r.Took < 5*time.Second {
		t.Errorf("exit status %d after %v", r.Code, r.Took)
	}
	contains(t, r.Err, "endpoint a.example:1234: no name server has answered yet: the daemon continues to look it up")
	s.Set("a.example", late)
	b.Must("ip route add default via 192.0.2.1") // otherwise the question is repeated after 30 s
	known(t, b, "a")
	b.Ping(lab.InnerA4, 1)
	b.Must("wgd down wg0")

	s.Set("a.example", dnstest.Entry{RCode: dnstest.ServerFailure})
	r = b.Run("wgd up wg0")
	contains(t, r.Err, "the name server 127.0.0.1 cannot tell")
	s.Set("a.example", late)
	known(t, b, "a")
	b.Ping(lab.InnerA4, 1)
}
