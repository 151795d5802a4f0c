package e2e

import (
	"fmt"
	"testing"
	"time"

	"wgd/test/lab"
)

const (
	onionDepth = 8
	onionWire  = 2200 // MTU, so that the innermost tunnel has one for IPv6 too
)

// onionMTU is the MTU of the tunnel that is inside that many others.
func onionMTU(around int) int { return onionWire - 80*(around+1) }

// throughOnion checks that packets of every size, also the largest that fit, and streams
// pass between two hosts, and that nothing counts as a loop or as lost.
func throughOnion(t *testing.T, from, to *lab.Host, four, six string, tunnels []*lab.Tunnel) {
	t.Helper()
	to.Echo()
	to.Sink(9)
	mtu := onionMTU(onionDepth - 1)
	for _, a := range []string{four, six} {
		from.PingWithin(10*time.Second, a)
		header := 28
		if a == six {
			header = 48
		}
		from.Must("ping -n -c 5 -i 0.1 -W 2 -M do -s %d %s", mtu-header, a)
		from.Sweep(lab.Sweep{Remote: addr(a), From: 0, To: mtu + 100})
		from.Stream(lab.Stream{Remote: addrPort(netJoin(a, 9)), Bytes: 8 << 20})
	}
	for _, tun := range tunnels {
		for _, reason := range []string{"loop", "too-big", "send"} {
			if n := dropped(t, tun, reason); n > 0 {
				t.Errorf("host %s, %s: %d packets count as %s", tun.Host.Name, tun.Name, n, reason)
			}
		}
	}
}

// Eight tunnels inside each other between two hosts, over IPv4 and IPv6 alternately,
// pass packets of every size, and nothing is fragmented. // A46
func TestOnion(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	for _, h := range []*lab.Host{a, b} {
		h.Must("ip link set eth0 mtu %d", onionWire)
	}
	var tunnels []*lab.Tunnel
	endpoint := func(around int) string { // of the tunnel that is inside that many others
		switch {
		case around == 0:
			return "192.0.2.2:1000"
		case around%2 == 0:
			return fmt.Sprintf("10.%d.0.2:%d", around-1, 1000+around)
		}
		return fmt.Sprintf("[fd00:%d::2]:%d", around-1, 1000+around)
	}
	for i := range onionDepth {
		settings := func(n int) lab.Settings {
			return lab.Settings{Name: fmt.Sprintf("wg%d", i), Port: 1000 + i, MTU: onionMTU(i),
				Addresses: []string{fmt.Sprintf("10.%d.0.%d/24", i, n), fmt.Sprintf("fd00:%d::%d/64", i, n)}}
		}
		ta, tb := a.Tunnel(settings(1)), b.Tunnel(settings(2))
		ta.Add(tb, lab.Peer{AllowedIPs: fmt.Sprintf("10.%d.0.2/32,fd00:%d::2/128", i, i), Endpoint: endpoint(i)})
		tb.Add(ta, lab.Peer{AllowedIPs: fmt.Sprintf("10.%d.0.1/32,fd00:%d::1/128", i, i)})
		tunnels = append(tunnels, ta, tb)
	}
	wire := a.Watch("eth0")
	inner, third := a.Watch("wg0"), a.Watch("wg1")
	throughOnion(t, a, b, fmt.Sprintf("10.%d.0.2", onionDepth-1), fmt.Sprintf("fd00:%d::2", onionDepth-1), tunnels)
	for _, p := range append(a.WatchedUDP(wire, 1000), a.Watched(inner)...) {
		if p.Fragment {
			t.Fatalf("a fragment: %v", p)
		}
	}
	for _, p := range some(t, a.WatchedUDP(third, 1002)) { // the third tunnel, over IPv4
		if p.Out && !p.DF {
			t.Fatalf("sent into a tunnel without DF: %v", p)
		}
	}
}

// Eight tunnels inside each other on a chain of hosts: each host forwards the traffic of
// the host before it into its own two tunnels, one inside the other. // A46
func TestOnionOfSeveralHosts(t *testing.T) {
	t.Parallel()
	const hosts = onionDepth / 2
	z := lab.NewHost(t, "z").Router()
	var chain []*lab.Host
	var tunnels []*lab.Tunnel
	for i := range hosts {
		chain = append(chain, lab.NewHost(t, fmt.Sprintf("h%d", i)).Router())
	}
	// A wire between neighbours. The default route leads forward.
	for i, h := range chain {
		next := z
		if i+1 < hosts {
			next = chain[i+1]
		}
		lab.Link(h, "right", []string{fmt.Sprintf("192.0.%d.1/24", i)}, next, "left", []string{fmt.Sprintf("192.0.%d.2/24", i)})
		h.Must("ip link set right mtu %d && ip route add default via 192.0.%d.2", onionWire, i)
		next.Must("ip link set left mtu %d", onionWire)
		for before := range i {
			next.Must("ip route add 192.0.%d.0/24 via 192.0.%d.1", before, i)
		}
	}
	for i, h := range chain {
		z.Must("ip addr add 203.0.113.%d/32 dev lo", i)
		for j := range 2 { // 1 is inside 0
			around := 2*(hosts-1-i) + j
			id, port := 2*i+j, 1000+2*i+j
			settings := func(name string, n int) lab.Settings {
				return lab.Settings{Name: name, Port: port, MTU: onionMTU(around),
					Addresses: []string{fmt.Sprintf("10.%d.0.%d/24", id, n), fmt.Sprintf("fd00:%d::%d/64", id, n)}}
			}
			th, tz := h.Tunnel(settings(fmt.Sprintf("wg%d", j), 1)), z.Tunnel(settings(fmt.Sprintf("wg%d", id), 2))
			endpoint, toZ, toH := fmt.Sprintf("203.0.113.%d:%d", i, port), fmt.Sprintf("10.%d.0.2/32,fd00:%d::2/128", id, id), fmt.Sprintf("10.%d.0.1/32,fd00:%d::1/128", id, id)
			if j == 1 {
				endpoint = fmt.Sprintf("10.%d.0.2:%d", id-1, port)
				if i > 0 { // the traffic of the host before is forwarded into this tunnel
					h.Must("ip route add 203.0.113.%d/32 dev wg1", i-1)
					z.Must("ip route replace 192.0.%d.0/24 dev wg%d", i-1, id)
					toZ += fmt.Sprintf(",203.0.113.%d/32", i-1)
					toH += fmt.Sprintf(",192.0.%d.0/24", i-1)
				}
			}
			th.Add(tz, lab.Peer{AllowedIPs: toZ, Endpoint: endpoint})
			tz.Add(th, lab.Peer{AllowedIPs: toH})
			tunnels = append(tunnels, th, tz)
		}
	}
	throughOnion(t, chain[0], z, "10.1.0.2", "fd00:1::2", tunnels)
}
