package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/test/lab"
)

// served returns a server and its peers, each on its own link: eth0, eth1 and so on of
// the server. The inner address of the server is 10.2.0.1; the peers have 10.2.0.2 and
// so on. All have endpoints.
func served(t *testing.T, v6 bool, names ...string) (s *lab.Host, ts *lab.Tunnel, peers []*lab.Host) {
	t.Helper()
	s = lab.NewHost(t, "server")
	net := func(peer, host int) string {
		if v6 {
			return fmt.Sprintf("fd0%d::%d", peer+1, host)
		}
		return fmt.Sprintf("192.168.%d.%d", peer+1, host)
	}
	port := func(addr string, port int) string {
		if v6 {
			addr = "[" + addr + "]"
		}
		return fmt.Sprintf("%s:%d", addr, port)
	}
	length := map[bool]string{true: "/64", false: "/24"}[v6]
	for i, name := range names {
		p := lab.NewHost(t, name)
		lab.Link(s, fmt.Sprintf("eth%d", i), []string{net(i, 1) + length}, p, "eth0", []string{net(i, 2) + length})
		peers = append(peers, p)
	}
	ts = s.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	for i, p := range peers {
		inner := fmt.Sprintf("10.2.0.%d", i+2)
		tp := p.Tunnel(lab.Settings{Port: 1235, Addresses: []string{inner + "/24"}})
		ts.Add(tp, lab.Peer{AllowedIPs: inner + "/32", Endpoint: port(net(i, 2), 1235)})
		tp.Add(ts, lab.Peer{AllowedIPs: "10.2.0.1/32", Endpoint: port(net(i, 1), 1234)})
	}
	return s, ts, peers
}

// usualRate is the median of the bits per second that arrived in each half second. On a
// loaded machine, the sender or the receiver may not run for a second or two.
func usualRate(arrived []lab.Arrival) float64 {
	const step = time.Second / 2
	var rates []float64
	for _, a := range arrived {
		at := int(a.At.Sub(arrived[0].At) / step)
		for len(rates) <= at {
			rates = append(rates, 0)
		}
		rates[at] += float64(a.Size*8) / step.Seconds()
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// One peer is behind a link of 5 Mbit/s with a long queue, and is sent ten times as
// much. The other peers are not affected: they lose nothing, their pings are quick, and
// a handshake takes no longer. The slow peer receives as much as its link transmits, in
// order (A43), with a delay of at most 3 s. Afterwards its socket is closed.
func TestSlowLink(t *testing.T) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, peers := served(t, v6, "slow", "fast", "new")
			slow, fast, later := peers[0], peers[1], peers[2]
			s.Must("tc qdisc add dev eth0 root tbf rate 5mbit burst 32k limit 200m")
			s.Must("ip link set wg0 txqueuelen 10000") // so that nothing is lost before the daemon reads it, while a loaded machine runs others
			fast.PingWithin(10*time.Second, "10.2.0.1")
			slow.PingWithin(10*time.Second, "10.2.0.1")
			s.Must("wgconfig wg0 sysctl -w net.wg.path_mtu_probes=0") // they need a socket as well
			daemon := s.Daemon(lab.Ours)
			before := daemon.Stat().Files
			atSlow, atFast := slow.Collect(4000), fast.Collect(4000)
			const size, count = 1300, 40_000
			bulk := s.StartFlow(lab.Flow{Remote: addrPort("10.2.0.2:4000"), Size: size, Interval: 200 * time.Microsecond, Count: count})
			time.Sleep(2 * time.Second)

			flow := s.StartFlow(lab.Flow{Remote: addrPort("10.2.0.3:4000"), Size: 500, Interval: time.Millisecond})
			first := later.PingWithin(20*time.Second, "10.2.0.1")
			times, lost := fast.PingTimes("10.2.0.1", 60, 50*time.Millisecond)
			sent := s.StopFlow(flow).Sent
			s.StopFlow(bulk)
			last := slow.PingWithin(20*time.Second, "10.2.0.1")
			time.Sleep(time.Second)

			got := lab.Summarize(fast.Collected(atFast), sent)
			if sent == 0 || got.Lost*100 > sent || got.Late+got.Twice > 0 {
				t.Errorf("the fast peer's %d packets: %v", sent, got)
			}
			slices.Sort(times)
			if lost > 0 || times[len(times)/2] > 250*time.Millisecond {
				t.Errorf("the fast peer's pings: %d lost, round trips %v", lost, times)
			}
			if first > 4*time.Second { // the time after which an initiation is repeated
				t.Errorf("the first ping of another peer took %v, want 4s at most", first)
			}
			if last > 3*time.Second {
				t.Errorf("the slow peer's first ping after the load took %v, want 3s at most", last)
			}
			arrived := slow.Collected(atSlow)
			if len(arrived) < 2 {
				t.Fatalf("%d packets arrived at the slow peer", len(arrived))
			}
			rate := usualRate(arrived)
			if got := lab.Summarize(arrived, count); rate < 3.5e6 || got.Late+got.Twice > 0 {
				t.Errorf("the slow peer received %.1f Mbit/s: %v", rate/1e6, got)
			}
			t.Logf("fast: %v; pings' median %v; first ping of another %v; slow: %.1f Mbit/s", got, times[len(times)/2], first, rate/1e6)
			contains(t, s.Must("wgconfig wg0 --json"), `"backlog":`)

			time.Sleep(6 * time.Second) // the peer counts as slow for 5
			fast.Ping("10.2.0.1", 2)
			lab.Until(t, 10*time.Second, "the socket of the slow peer is closed", func() (bool, string) {
				fast.Ping("10.2.0.1", 1)
				now := daemon.Stat().Files
				return now <= before, fmt.Sprintf("%d files, %d before", now, before)
			})
		})
	}
}
