package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// star returns a hub A with two peers: B has 10.2.0.0/24, and C has 10.2.0.128/25,
// which is inside it. IPv6 is alike.
func star(t *testing.T) (a, b, c *lab.Host, ta, tb, tc *lab.Tunnel) {
	t.Helper()
	sw := lab.Switch(t, "sw")
	a, b, c = lab.NewHost(t, "a"), lab.NewHost(t, "b"), lab.NewHost(t, "c")
	a.Plug(sw, "eth0", "192.0.2.1/24")
	b.Plug(sw, "eth0", "192.0.2.2/24")
	c.Plug(sw, "eth0", "192.0.2.3/24")
	ta = a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.1.0.1/32", "fd00:1::1/128"}})
	tb = b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{"10.2.0.2/32", "fd00:2::2/128"}})
	tc = c.Tunnel(lab.Settings{Port: 1236, Addresses: []string{"10.2.0.130/32", "fd00:2::8002/128"}})
	a.Must("ip route add 10.2.0.0/16 dev wg0 && ip route add fd00:2::/32 dev wg0")
	for _, h := range []*lab.Host{b, c} {
		h.Must("ip route add 10.1.0.1/32 dev wg0 && ip route add fd00:1::1/128 dev wg0")
	}
	ta.Add(tb, lab.Peer{AllowedIPs: "10.2.0.0/24,fd00:2::/64", Endpoint: "192.0.2.2:1235"})
	ta.Add(tc, lab.Peer{AllowedIPs: "10.2.0.128/25,fd00:2::8000/113", Endpoint: "192.0.2.3:1236"})
	for _, tun := range []*lab.Tunnel{tb, tc} {
		tun.Add(ta, lab.Peer{AllowedIPs: "10.1.0.1/32,fd00:1::1/128", Endpoint: "192.0.2.1:1234"})
	}
	return a, b, c, ta, tb, tc
}

// With nested allowed IPs the longest prefix decides, outbound and inbound. Inbound
// packets with the source of another peer are dropped. // A48, A49, B2
func TestNestedAllowedIPs(t *testing.T) {
	t.Parallel()
	a, b, c, ta, _, _ := star(t)
	for _, to := range []string{"10.2.0.2", "fd00:2::2", "10.2.0.130", "fd00:2::8002"} {
		a.Ping(to, 2)
	}
	b.Ping("10.1.0.1", 2)
	c.Ping("10.1.0.1", 2)

	inner, refused := a.Watch("wg0"), 0
	for _, s := range []struct {
		h         *lab.Host
		source    string
		allowed   bool
		from, why string
	}{
		{b, "10.2.0.77", true, "10.1.0.1", "B's own, outside C's"},
		{b, "10.2.0.200", false, "10.1.0.1", "within B's prefix, but C's is longer"},
		{c, "10.2.0.200", true, "10.1.0.1", "C's own"},
		{c, "10.2.0.3", false, "10.1.0.1", "B's"},
		{c, "10.9.9.9", false, "10.1.0.1", "nobody's"},
		{b, "fd00:2::77", true, "fd00:1::1", "B's own, outside C's"},
		{b, "fd00:2::8099", false, "fd00:1::1", "within B's prefix, but C's is longer"},
		{c, "fd00:2::8099", true, "fd00:1::1", "C's own"},
		{c, "fd00:2::3", false, "fd00:1::1", "B's"},
	} {
		bits := "/32"
		if strings.Contains(s.source, ":") {
			bits = "/128"
		}
		s.h.Must("ip addr add %s%s dev lo nodad", s.source, bits)
		s.h.AwaitAddresses("lo")
		s.h.Run(fmt.Sprintf("ping -n -c 2 -i 0.1 -W 1 -I %s %s", s.source, s.from))
		s.h.Must("ip addr del %s%s dev lo", s.source, bits)
		if !s.allowed {
			refused += 2
		}
		seen := false
		for _, p := range a.Watched(inner) {
			seen = seen || !p.Out && p.Src.Addr() == addr(s.source)
		}
		// Two hosts have the same address one after the other: look only at new packets.
		inner = a.Watch("wg0")
		if seen != s.allowed {
			t.Errorf("source %s from %s (%s): arrived %v, want %v", s.source, s.h.Name, s.why, seen, s.allowed)
		}
	}
	if n := dropped(t, ta, "source"); n != refused {
		t.Errorf("%d packets count as dropped for their source, want %d", n, refused)
	}
}

// An allowed IP moves between two peers fifty times under traffic. Each packet goes to
// exactly one of them. // A50, B50, B64
func TestAllowedIPMoves(t *testing.T) {
	t.Parallel()
	a, b, c, _, tb, tc := star(t)
	const moving = "10.2.99.99"
	for _, h := range []*lab.Host{b, c} {
		h.Must("ip addr add %s/32 dev lo", moving)
		h.Ping("10.1.0.1", 1)
	}
	allowed := map[*lab.Tunnel]string{tb: "10.2.0.0/24,fd00:2::/64", tc: "10.2.0.128/25,fd00:2::8000/113"}
	give := func(tun *lab.Tunnel) {
		a.Must("wg set wg0 peer %s allowed-ips %s,%s/32", tun.Public, allowed[tun], moving)
	}
	give(tb)
	inB, inC := b.Collect(4000), c.Collect(4000)
	out := a.StartFlow(lab.Flow{Remote: addrPort(moving + ":4000"), Size: 200, Interval: 2 * time.Millisecond})
	for range 25 {
		give(tc)
		give(tb)
	}
	sent := a.StopFlow(out)
	var atB, atC []lab.Arrival
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		atB, atC = b.Collected(inB), c.Collected(inC)
		if len(atB)+len(atC) >= sent.Sent || time.Now().After(end) {
			break
		}
	}
	if len(atB) == 0 || len(atC) == 0 {
		t.Errorf("%d packets came to B and %d to C, want some at both", len(atB), len(atC))
	}
	got := lab.Summarize(append(atB, atC...), sent.Sent)
	if got.Lost > 0 || got.Twice > 0 || len(sent.Errors) > 0 {
		t.Errorf("%d sent, errors %v; %v", sent.Sent, sent.Errors, got)
	}
}

// If there is no peer, or its endpoint is unknown, the sender gets host unreachable or
// address unreachable, with a rate limit, and not for multicast. // A48
func TestUnreachable(t *testing.T) {
	t.Parallel()
	a, _, _, _ := pair(t) // B has not sent anything: A has no endpoint of it
	wg := a.Watch("wg0")
	for _, c := range []struct {
		to, what   string
		kind, code byte
	}{
		{"10.2.0.77", "no peer", 3, 1},
		{lab.InnerB4, "a peer without an endpoint", 3, 1},
		{"fd00:2::77", "no peer", 1, 3},
		{lab.InnerB6, "a peer without an endpoint", 1, 3},
	} {
		time.Sleep(300 * time.Millisecond) // the rate limit
		s := a.Socket("", netJoin(c.to, 4000))
		s.Send("", []byte("anybody?"))
		if d, text := s.Receive(2 * time.Second); text != "no route to host" {
			t.Errorf("%s (%s): the socket returns %q %v, want no route to host", c.to, c.what, text, d)
		}
		found := false
		for _, p := range a.ICMPErrors(wg) {
			found = found || p.Type == c.kind && p.Code == c.code && !p.Out
		}
		if !found {
			t.Errorf("%s (%s): ICMP errors %[5]v, want %[3]d/%[4]d", c.to, c.what, c.kind, c.code, a.ICMPErrors(wg))
		}
	}

	wg = a.Watch("wg0")
	a.Must("ip route add 224.0.0.0/4 dev wg0; true")
	m := a.Socket("", "224.0.0.99:4000")
	m.Send("", []byte("everybody"))
	m6 := a.Socket("", "[ff15::99%wg0]:4000")
	m6.Send("", []byte("everybody"))
	time.Sleep(500 * time.Millisecond)
	if got := a.ICMPErrors(wg); len(got) > 0 {
		t.Errorf("ICMP errors for multicast: %v, want none", got)
	}

	// A thousand packets at once get far fewer errors.
	a.Send(lab.Flow{Remote: addrPort("10.2.0.78:4000"), Size: 64, Count: 1000})
	lab.Until(t, 5*time.Second, "an ICMP error", func() (bool, string) { return len(a.ICMPErrors(wg)) > 0, "" })
	time.Sleep(300 * time.Millisecond)
	if n := len(a.ICMPErrors(wg)); n > 100 {
		t.Errorf("%d ICMP errors for 1,000 packets at once, want a few", n)
	}
}

func netJoin(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}
