package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// killed is the gateway that is killed: the one in the middle, because then a router with
// ECMP moves no flow of the others.
const killed = 1

// probes are how many packets each peer sends in a second.
const probes = 4

// A gateway is killed, daemon and wgd-peers serve, while all peers have data. After the router
// no longer sends to it, 99 % of its peers have answers again within the time of -within, from the
// address that they know, and no TCP connection breaks. The same when it is back.
func TestGatewayIsKilled(t *testing.T) {
	n := *peerCount
	f := newFleet(t, n)
	f.startTraffic(probes, n/4)
	for i, h := range f.goHosts {
		f.theirs[i] = load.Start(h, load.UDPFlows, load.Job{Remote: beyond, Count: 1, PacketRate: 10})
		f.theirTCP[i] = load.Start(h, load.TCPFlows, load.Job{Remote: beyond, Count: 1, PacketRate: 10})
	}
	f.awaitTraffic()
	moved := f.held(killed)
	if len(moved) < n/6 || len(moved) > n*2/3 {
		t.Fatalf("%d of %d peers are at the gateway: the router does not spread them", len(moved), n)
	}
	time.Sleep(2 * time.Second) // wgd-peers serve writes where peers are once a second
	f.resetTraffic()
	g := f.gateways[killed]
	g.Must("kill -9 %d %d", g.Daemon(lab.Ours).PID, g.Daemon("wgd-peers").PID)
	time.Sleep(300 * time.Millisecond) // until the router knows
	f.spread(0, 2)
	f.judge("killed", load.Now(), moved)
	f.tell(0, 2)
	f.restart(killed)
	f.resetTraffic()
	f.spread(0, 1, 2)
	f.judge("back", load.Now(), moved)
	f.tell(killed)
	if now := f.held(killed); len(now) < len(moved)*99/100 {
		t.Errorf("the gateway that is back has %d peers, and had %d", len(now), len(moved))
	}
}

// tell logs what wgd-peers serve on gateways says.
func (f *fleet) tell(gateways ...int) {
	f.t.Helper()
	for _, i := range gateways {
		r := f.report(i)
		f.t.Logf("gateway %d has %d peers, called %d, refused %v; answers: median %v s, 99 %% under %v s; %d look-ups: median %v s, 99 %% under %v s, %d failed (%s)",
			i+1, r.Peers, r.Called, r.Refused, r.Answered.Median, r.Answered.P99, r.LookUps.Count, r.LookUps.Median, r.LookUps.P99, r.Failed, r.Failure)
	}
}

// restart starts the daemon and wgd-peers serve of a gateway whose processes were killed.
func (f *fleet) restart(gateway int) {
	f.t.Helper()
	g := f.gateways[gateway]
	lab.Until(f.t, 20*time.Second, "the killed daemon is gone", func() (bool, string) {
		return g.Run("ip link show wg0").Code != 0 && len(g.PIDs(lab.Ours)) == 0, ""
	})
	key := g.Must("cat /etc/wg/wg0")
	g.Tunnel(lab.Settings{Port: port, Addresses: []string{"10.64.255.1/16"}})
	g.Write("/etc/wg/wg0", key)
	g.Must("wgconfig wg0 set private-key /etc/wg/wg0")
	f.serve(gateway)
}

// resetTraffic begins a measurement.
func (f *fleet) resetTraffic() {
	f.traffic.Ask()
	f.flows.Ask()
	for i := range goClients {
		f.theirs[i].Ask()
		f.theirTCP[i].Ask()
	}
}

// judge judges what happened since resetTraffic and the switch.
func (f *fleet) judge(what string, switched int64, moved map[int]bool) {
	t := f.t
	t.Helper()
	time.Sleep(max(8*time.Second, *within+2*time.Second))
	r := f.traffic.Ask()
	var back, others []time.Duration
	for i, s := range r.Silences {
		if moved[i] {
			back = append(back, again(s, switched))
		} else {
			others = append(others, length(s))
		}
	}
	t.Logf("%s: %d peers moved; answers again after the switch: %s", what, len(back), distribution(back))
	t.Logf("%s: the longest silences of %d others: %s", what, len(others), distribution(others))
	late := countOver(back, *within)
	if late > len(back)/100 {
		t.Errorf("%s: %d of %d peers had no answers for %v after the switch", what, late, len(back), *within)
	}
	if n := countOver(others, *within); n > len(others)/100 {
		t.Errorf("%s: %d of %d peers of other gateways had no answers for %v", what, n, len(others), *within)
	}
	if r.Lost > 0 {
		t.Errorf("%s: %d peers send to another address", what, r.Lost)
	}
	for i := range goClients {
		s := f.theirs[i].Ask().Silences[0]
		t.Logf("%s: the longest silence of wireguard-go %d: %v", what, i+1, length(s))
		if length(s) > *within+time.Second {
			t.Errorf("%s: wireguard-go %d had no answers for %v", what, i+1, length(s))
		}
	}
	f.judgeFlows(what)
}

// judgeFlows waits until all TCP connections go on. They wait twice as long after each packet
// that was lost.
func (f *fleet) judgeFlows(what string) {
	f.t.Helper()
	for _, w := range []*load.Worker{f.flows, f.theirTCP[0], f.theirTCP[1]} {
		lab.Until(f.t, 30*time.Second, what+": all TCP connections go on", func() (bool, string) {
			r := w.Ask()
			if r.Lost > 0 {
				f.t.Fatalf("%s: %d of %d TCP connections broke", what, r.Lost, len(r.Silences))
			}
			silent := silentAt(r.Silences, load.Now()-int64(2*time.Second))
			return silent == 0, fmt.Sprintf("%d are silent", silent)
		})
	}
}

// again returns how long after the switch a peer had answers again, at most. If its longest
// silence began later, that of the switch was shorter.
func again(s load.Silence, switched int64) time.Duration {
	const interval = time.Second / probes
	if s.From > switched+int64(interval) {
		return interval + length(s)
	}
	return after(s, switched)
}

// after returns how long after a time a silence ended.
func after(s load.Silence, at int64) time.Duration {
	if s.To == 0 {
		s.To = load.Now()
	}
	return max(time.Duration(s.To-at), 0)
}

func length(s load.Silence) time.Duration { return after(s, s.From) }

func countOver(list []time.Duration, limit time.Duration) (n int) {
	for _, d := range list {
		if d > limit {
			n++
		}
	}
	return n
}

// distribution returns a text about durations.
func distribution(list []time.Duration) string {
	if len(list) == 0 {
		return "none"
	}
	slices.Sort(list)
	at := func(share float64) time.Duration {
		return list[min(int(share*float64(len(list))), len(list)-1)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("median %v, 90 %% %v, 99 %% %v, longest %v", at(0.5), at(0.9), at(0.99), at(1))
}
