package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/serve"
	"wgd/test/lab"
	"wgd/test/load"
)

// Without etcd, peers that a gateway has go on: they move to another port, and make new
// sessions. Others are refused with a reason that wgd-peers status says. When etcd is back, they
// are answered, and the store learns where the peers are.
func TestStoreIsDown(t *testing.T) {
	f := newFleet(t, max(*peerCount/4, 1))
	f.startTraffic(probes, 0)
	held, stranger := f.goHosts[0], f.goHosts[1]
	w := load.Start(held, load.UDPFlows, load.Job{Remote: beyond, Count: 1, PacketRate: 10})
	held.Ping(beyond, 1)
	for i := range members {
		f.etcd.kill(i)
	}
	f.traffic.Ask()
	before := f.traffic.Ask().Handshakes
	w.Ask()
	held.Must("wg set wg0 listen-port 5555")
	lab.Until(t, 10*time.Second, "a gateway sees the new port", func() (bool, string) {
		for _, g := range f.gateways {
			if strings.Contains(g.Must("wg show wg0 endpoints"), "192.0.10.2:5555") {
				return true, ""
			}
		}
		return false, ""
	})
	held.Must("ip link set wg0 down && ip link set wg0 up && ip route replace %s dev wg0", beyond)
	held.Ping(beyond, 5)
	stranger.NoPing(beyond)
	refuses := 0
	lab.Until(t, 30*time.Second, "a gateway refuses because of the store", func() (bool, string) {
		var r *serve.Report
		for refuses = range gateways {
			if r = f.report(refuses); r != nil && r.Refused["store-fails"] > 0 && r.Failing != nil {
				return true, ""
			}
		}
		return false, fmt.Sprintf("the last one says %+v", r)
	})
	// This takes 6 to 8 seconds, until it has asked all members.
	if out := f.gateways[refuses].Run("wgd-peers status --store=" + f.etcd.address()).Out; !strings.Contains(out, "store-fails") || !strings.Contains(out, "store: fails") {
		t.Errorf("gateway %d: wgd-peers status does not say why\n%s", refuses+1, out)
	}
	time.Sleep(*down)
	r := f.traffic.Ask()
	var list []time.Duration
	for _, s := range r.Silences {
		list = append(list, length(s))
	}
	t.Logf("without the store for more than %v: %d peers, %d handshakes; their longest silences: %s", *down, len(list), r.Handshakes-before, distribution(list))
	if late := countOver(list, *within); late > 0 {
		t.Errorf("%d peers had no answers for %v", late, *within)
	}
	if *down > 130*time.Second && int(r.Handshakes-before) < len(list) {
		t.Errorf("%d handshakes of %d peers", r.Handshakes-before, len(list))
	}
	f.recover(held, stranger)
}

// recover starts etcd again, and waits until everything works.
func (f *fleet) recover(held, stranger *lab.Host) {
	f.t.Helper()
	f.etcd.startAll()
	begin := time.Now()
	stranger.PingWithin(30*time.Second, beyond)
	f.t.Logf("%v after etcd is back, a new peer is answered", time.Since(begin).Round(time.Millisecond))
	lab.Until(f.t, 20*time.Second, "the store knows where the peer is", func() (bool, string) {
		text := f.peersCommand(0, "list client0 --json")
		return strings.Contains(text, "192.0.10.2:5555"), text
	})
	for i := range gateways {
		lab.Until(f.t, 20*time.Second, fmt.Sprintf("gateway %d uses the store", i+1), func() (bool, string) {
			r := f.report(i)
			return r.Failing == nil && r.Unrecorded == 0, fmt.Sprintf("%+v", r)
		})
	}
	held.Ping(beyond, 1)
}
