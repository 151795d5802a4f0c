package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"wgd/test/lab"
)

// mostLooped is how many bytes a loop may send, through all its interfaces (A46).
const mostLooped = 70000

// loopPings returns the pings that begin a loop. Over IPv6, one of 1,300 bytes does not
// fit into a tunnel inside another one with the same MTU, so it begins none.
func loopPings(v6 bool) []string {
	pings := []string{"-s 56", "-s 1200", "-s 4000"}
	if !v6 {
		pings = append(pings, "-s 1300")
	}
	return pings
}

// dropped is how many packets a tunnel has dropped for a reason.
func dropped(t *testing.T, tun *lab.Tunnel, reason string) (n int) {
	t.Helper()
	var status struct {
		Drops map[string]int `json:"drops"`
	}
	text := tun.Host.Must("wgconfig %s show all --json", tun.Name)
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return status.Drops[reason]
}

// sentTo is how many bytes tunnels have sent to all their peers but one.
func sentTo(t *testing.T, tunnels []*lab.Tunnel, but *lab.Tunnel) (sum int) {
	t.Helper()
	for _, tun := range tunnels {
		for _, p := range tun.Peers() {
			if p.Public != but.Public {
				sum += int(p.Tx)
			}
		}
	}
	return sum
}

// loops begins loops with pings from a host, and checks that each ends by itself, is
// counted, and harms nobody: a flow to another peer, through a tunnel that is part of
// the loop, loses nothing.
func loops(t *testing.T, h *lab.Host, ping string, tunnels []*lab.Tunnel, other *lab.Tunnel, otherAddr string, pings ...string) {
	t.Helper()
	count := func() (n int) {
		for _, tun := range tunnels {
			n += dropped(t, tun, "loop")
		}
		return n
	}
	for i, size := range pings {
		in := other.Host.Collect(4000 + i)
		out := h.StartFlow(lab.Flow{Remote: addrPort(netJoin(otherAddr, 4000+i)), Size: 200, Interval: 2 * time.Millisecond})
		time.Sleep(100 * time.Millisecond)
		countBefore, before := count(), sentTo(t, tunnels, other)
		h.Run("ping -n -c 1 -W 1 " + size + " " + ping)
		lab.Until(t, 30*time.Second, "ping "+size+": a packet counts as a loop", func() (bool, string) {
			return count() > countBefore, ""
		})
		time.Sleep(time.Second) // for others, such as fragments
		sent := h.StopFlow(out)
		got := summarize(other.Host, in, sent)
		grown := sentTo(t, tunnels, other) - before
		t.Logf("ping %s: %d bytes were sent", size, grown)
		if grown >= mostLooped {
			t.Errorf("ping %s: %d bytes were sent, want less than %d", size, grown, mostLooped)
		}
		if got.Lost > 0 || got.Late > 0 {
			t.Errorf("ping %s: packets to another peer: %v of %d, errors %v", size, got, sent.Sent, sent.Errors)
		}
	}
}

// silence keeps hosts from sending anything to host a, whose number is 1. Without it, a
// keepalive of theirs from their real address, ten seconds after the last data, makes
// that their endpoint again (A51), and there is no loop any more.
func silence(hosts ...*lab.Host) (end func()) {
	each := func(action string) {
		for _, h := range hosts {
			h.Must("ip route %s blackhole 192.0.2.1/32 && ip -6 route %s blackhole fd01::1/128", action, action)
		}
	}
	each("add")
	return func() { each("del") }
}

// families has a test for each: inner and outer addresses of that family.
func families(t *testing.T, f func(t *testing.T, v6 bool)) {
	for _, v6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[v6], func(t *testing.T) {
			t.Parallel()
			f(t, v6)
		})
	}
}

// pick is the address of the family.
func pick(v6 bool, four, six string) string {
	if v6 {
		return six
	}
	return four
}

// Two peers of one interface whose endpoints lie behind each other. // A46
func TestLoopThroughTwoPeers(t *testing.T) {
	families(t, func(t *testing.T, v6 bool) {
		sw := lab.Switch(t, "sw")
		var hosts []*lab.Host
		var tunnels []*lab.Tunnel
		for i, name := range []string{"a", "b", "c", "d"} {
			h := lab.NewHost(t, name)
			h.Plug(sw, "eth0", fmt.Sprintf("192.0.2.%d/24", i+1), fmt.Sprintf("fd01::%d/64", i+1))
			hosts = append(hosts, h)
			tunnels = append(tunnels, h.Tunnel(lab.Settings{Port: 1234 + i,
				Addresses: []string{fmt.Sprintf("10.2.0.%d/24", i+1), fmt.Sprintf("fd00:2::%d/64", i+1)}}))
		}
		a := hosts[0]
		outer, inner := pick(v6, "192.0.2.", "fd01::"), pick(v6, "10.2.0.", "fd00:2::")
		for i, tun := range tunnels[1:] {
			n := strconv.Itoa(i + 2)
			tunnels[0].Add(tun, lab.Peer{AllowedIPs: "10.2.0." + n + "/32,fd00:2::" + n + "/128", Endpoint: netJoin(outer+n, 1235+i)})
			tun.Add(tunnels[0], lab.Peer{AllowedIPs: "10.2.0.1/32,fd00:2::1/128"})
			a.PingWithin(10*time.Second, inner+n)
		}
		speak := silence(hosts[1], hosts[2])
		a.Must("wgconfig wg0 set peer b --endpoint=%s", netJoin(inner+"3", 1236))
		a.Must("wgconfig wg0 set peer c --endpoint=%s", netJoin(inner+"2", 1235))
		loops(t, a, inner+"2", tunnels[:1], tunnels[3], inner+"4", loopPings(v6)...)
		// And it recovers.
		speak()
		a.Must("wgconfig wg0 set peer b --endpoint=%s", netJoin(outer+"2", 1235))
		a.Must("wgconfig wg0 set peer c --endpoint=%s", netJoin(outer+"3", 1236))
		a.PingWithin(12*time.Second, inner+"2")
		a.PingWithin(12*time.Second, inner+"3")
	})
}

// Two interfaces of one host, each with its daemon, whose endpoints lie in each
// other. // A46
func TestLoopThroughTwoInterfaces(t *testing.T) {
	for _, mtu := range []int{1420, 65535} {
		t.Run(fmt.Sprintf("MTU %d", mtu), func(t *testing.T) {
			families(t, func(t *testing.T, v6 bool) {
				a, b := lab.Pair(t)
				c := lab.NewHost(t, "c")
				lab.Link(a, "eth1", []string{"198.51.100.1/24", "fd03::1/64"}, c, "eth0", []string{"198.51.100.2/24", "fd03::2/64"})
				outer, inner := pick(v6, "192.0.2.2", "fd01::2"), func(i int) string {
					return fmt.Sprintf(pick(v6, "10.%d.0.2", "fd00:%d::2"), i+2)
				}
				var tunnels []*lab.Tunnel
				for i := range 2 {
					at := func(n int) lab.Settings {
						return lab.Settings{Name: fmt.Sprintf("wg%d", i), Port: 1234 + i, MTU: mtu,
							Addresses: []string{fmt.Sprintf("10.%d.0.%d/24", i+2, n), fmt.Sprintf("fd00:%d::%d/64", i+2, n)}}
					}
					ta, tb := a.Tunnel(at(1)), b.Tunnel(at(2))
					ta.Add(tb, lab.Peer{AllowedIPs: fmt.Sprintf("10.%d.0.2/32,fd00:%d::2/128", i+2, i+2), Endpoint: netJoin(outer, 1234+i)})
					tb.Add(ta, lab.Peer{AllowedIPs: fmt.Sprintf("10.%d.0.1/32,fd00:%d::1/128", i+2, i+2)})
					a.PingWithin(10*time.Second, inner(i))
					tunnels = append(tunnels, ta)
				}
				tc := c.Tunnel(lab.Settings{Port: 1239, Addresses: []string{"10.2.0.3/24", "fd00:2::3/64"}})
				tunnels[0].Add(tc, lab.Peer{AllowedIPs: "10.2.0.3/32,fd00:2::3/128", Endpoint: netJoin(pick(v6, "198.51.100.2", "fd03::2"), 1239)})
				tc.Add(tunnels[0], lab.Peer{AllowedIPs: "10.2.0.1/32,fd00:2::1/128"})
				other := pick(v6, "10.2.0.3", "fd00:2::3")
				a.PingWithin(10*time.Second, other)
				silence(b)
				for i := range 2 {
					a.Must("wgconfig wg%d set peer b --endpoint=%s", i, netJoin(inner(1-i), 1234+i))
				}
				loops(t, a, inner(0), tunnels, tc, other, loopPings(v6)...)
			})
		})
	}
}

// Two hosts whose tunnels lead through each other's. What A sends to B is routed via R,
// and R routes B's address into its tunnel to S. What R sends into that is routed via A,
// and A routes S's address into its tunnel to B. On neither host does the route to the
// endpoint lead into a tunnel. // A46
func TestLoopThroughTwoHosts(t *testing.T) {
	families(t, func(t *testing.T, v6 bool) {
		sw := lab.Switch(t, "sw")
		hosts := map[string]*lab.Host{}
		outer := func(n int) string { return fmt.Sprintf(pick(v6, "192.0.2.%d", "fd01::%d"), n) }
		tunnels := map[string]*lab.Tunnel{}
		for i, name := range []string{"a", "r", "b", "s", "c"} {
			h := lab.NewHost(t, name).Router()
			h.Plug(sw, "eth0", fmt.Sprintf("192.0.2.%d/24", i+1), fmt.Sprintf("fd01::%d/64", i+1))
			h.Must("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0 net.ipv4.conf.all.accept_redirects=0 net.ipv6.conf.eth0.accept_redirects=0")
			hosts[name] = h
			tunnels[name] = h.Tunnel(lab.Settings{Port: 1230 + i,
				Addresses: []string{fmt.Sprintf("10.2.0.%d/24", i+1), fmt.Sprintf("fd00:2::%d/64", i+1)}})
		}
		inner := func(n int) string { return fmt.Sprintf(pick(v6, "10.2.0.%d", "fd00:2::%d"), n) }
		join := func(x, y string, nx, ny int, more string) {
			both := func(n int) string { return fmt.Sprintf("10.2.0.%d/32,fd00:2::%d/128", n, n) }
			tunnels[x].Add(tunnels[y], lab.Peer{AllowedIPs: both(ny) + more, Endpoint: netJoin(outer(ny), 1230+ny-1)})
			tunnels[y].Add(tunnels[x], lab.Peer{AllowedIPs: both(nx)})
			hosts[x].PingWithin(10*time.Second, inner(ny))
		}
		bits := pick(v6, "/32", "/128")
		join("a", "b", 1, 3, ","+outer(4)+bits)
		join("r", "s", 2, 4, ","+outer(3)+bits)
		join("a", "c", 1, 5, "")
		ip := pick(v6, "ip -4", "ip -6")
		hosts["a"].Must("%s route add %s%s via %s && %s route add %s%s dev wg0", ip, outer(3), bits, outer(2), ip, outer(4), bits)
		hosts["r"].Must("%s route add %s%s via %s && %s route add %s%s dev wg0", ip, outer(4), bits, outer(1), ip, outer(3), bits)
		pings := []string{"-s 56", "-s 400"}
		if !v6 { // over IPv6, routers drop what has become too long
			pings = append(pings, "-s 4000")
		}
		loops(t, hosts["a"], inner(3), []*lab.Tunnel{tunnels["a"], tunnels["r"]}, tunnels["c"], inner(5), pings...)
	})
}
