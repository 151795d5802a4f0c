package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

const (
	ecmpGateways = 3
	ecmpClients  = 8  // or more, until two gateways have some
	ecmpMost     = 40 // that many are at one gateway once in 3^39 times
)

// A router spreads clients over three gateways of one key with the resilient group of
// docs/fleet.md. One gateway dies, and is taken out of the group: its clients have answers
// within 2 seconds after that, and those of the others lose none.
func TestResilientECMP(t *testing.T) {
	t.Parallel()
	r, c := lab.NewHost(t, "r").Router(), lab.NewHost(t, "c")
	lab.Link(c, "eth0", []string{"198.51.100.2/24"}, r, "c", []string{"198.51.100.1/24"})
	c.Must("ip route add default via 198.51.100.1")
	private := strings.TrimSpace(c.Must("wg-keygen"))
	public := strings.TrimSpace(c.Must("echo %s | wg-keygen --pub", private))
	shared := filepath.Join(t.TempDir(), "peers.db")
	var gateways []*lab.Host
	for i := 1; i <= ecmpGateways; i++ {
		g := lab.NewHost(t, fmt.Sprint("g", i))
		lab.Link(g, "eth0", []string{fmt.Sprintf("10.9.%d.1/24", i)}, r, fmt.Sprint("g", i), []string{fmt.Sprintf("10.9.%d.254/24", i)})
		g.Must("ip addr add %s/32 dev lo && ip route add default via 10.9.%d.254", service, i)
		g.Tunnel(lab.Settings{Port: 51820, Addresses: []string{"10.2.0.1/16"}})
		g.Must("(umask 077; echo %s >/etc/wg/wg0) && wgconfig wg0 set private-key /etc/wg/wg0", private)
		servePeers(t, g, "--store="+shared)
		untilLog(t, g, serveWorks, 1)
		gateways = append(gateways, g)
	}
	for line := range strings.Lines(fromFleet(t, "sysctl net.ipv4.fib_multipath_hash_policy=1")) {
		r.Must("%s", strings.TrimSpace(line))
	}
	at := map[int]int{} // the gateway of each client
	busy := map[int]bool{}
	for n := 0; n < ecmpClients || len(busy) < 2; n++ {
		if n == ecmpMost {
			t.Fatalf("the router sends all %d clients to one gateway", n)
		}
		name := fmt.Sprint("wg", n)
		tc := c.Tunnel(lab.Settings{Name: name, Addresses: []string{fmt.Sprintf("10.2.1.%d/32", n)}})
		gateways[0].Must("wgd-peers --store=%s add %s --public-key=%s --allowed-ips=10.2.1.%d/32", shared, name, tc.Public, n)
		tc.AddKey(public, lab.Peer{Name: "gateway", AllowedIPs: "10.2.0.1/32", Endpoint: service + ":51820"})
		if r := c.Run(fmt.Sprintf("ping -I %s -n -c 1 -w 10 10.2.0.1", name)); r.Code != 0 {
			t.Fatalf("client %d: %s%s", n, r.Out, r.Err)
		}
		for i, g := range gateways {
			if strings.Contains(g.Must("wgd-peers status --peers"), name+" ") {
				at[n], busy[i] = i, true
			}
		}
		if _, ok := at[n]; !ok {
			t.Fatalf("no gateway has client %d", n)
		}
	}
	dead := at[0]
	t.Logf("the clients are at %v", at)
	time.Sleep(2 * time.Second) // so that the store knows where they are

	results := make([]chan lab.Result, len(at))
	for n := range results {
		results[n] = make(chan lab.Result, 1)
		go func() { results[n] <- c.Run(fmt.Sprintf("ping -I wg%d -D -n -c 160 -i 0.05 -W 1 10.2.0.1", n)) }()
	}
	time.Sleep(2 * time.Second)
	gateways[dead].Daemon("wgd").Kill() // its link stays up: the kernel takes nothing out
	killed := time.Now()
	time.Sleep(time.Second)
	var left []string
	for i := range gateways {
		if i != dead {
			left = append(left, fmt.Sprint(i+1))
		}
	}
	out := time.Now()
	r.Must("%s", strings.TrimSpace(fromFleet(t, "ip nexthop replace id 10", "group 1/3", "group "+strings.Join(left, "/"))))
	others := 0
	for n := range results {
		text := (<-results[n]).Out
		replies := repliesOf(t, text)
		if at[n] != dead {
			if others++; len(replies) < 159 { // one may be under way when the test ends
				t.Errorf("client %d of gateway %d: %d of 160 pings were answered\n%s", n, at[n]+1, len(replies), text)
			}
			continue
		}
		var first time.Duration
		for _, reply := range replies {
			// ping may read late what was answered before.
			if d := reply.Sub(killed); d > 500*time.Millisecond && reply.Before(out) {
				t.Errorf("client %d of the dead gateway: answered %v after that was killed", n, d)
			}
			if d := reply.Sub(out); d > 0 && first == 0 {
				first = d
			}
		}
		t.Logf("client %d of the dead gateway: answered %v after it was taken out", n, first)
		if first == 0 || first > 2*time.Second {
			t.Errorf("client %d of the dead gateway: answered %v after it was taken out\n%s", n, first, text)
		}
	}
	if others == 0 {
		t.Error("all clients were at one gateway: nothing was tested about the others")
	}
}
