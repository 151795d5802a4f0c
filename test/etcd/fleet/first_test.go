package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// medianSlack is how much longer half of the first handshakes may take, on any machine.
const medianSlack = 250 * time.Millisecond

// The first handshake of a peer takes little longer at a gateway that has to look it up than
// at one that has it. Then comes a flood of keys that nobody knows: each is looked up once, memory
// stays bounded, and the peers notice nothing.
func TestFirstHandshakes(t *testing.T) {
	n := *handshakes
	f := newFleet(t, n)
	remote := fmt.Sprintf("%s:%d", service, port)
	w := load.Start(f.linux, load.First, load.Job{Remote: remote, Peers: f.peers})
	r, again := w.Ask(), w.Ask()
	w.Stop()
	unknown, known := durations(r.Times), durations(again.Times)
	if lost := int(r.Lost + again.Lost); lost > max(n/100, 1) {
		t.Errorf("%d of %d handshakes had no response", lost, 2*n)
	}
	t.Logf("the gateway has to look the peer up: %s", distribution(unknown))
	t.Logf("the gateway has it: %s", distribution(known))
	for share, limit := range map[float64]time.Duration{0.5: min(*slack, medianSlack), 0.99: *slack} {
		more := percentile(unknown, share) - percentile(known, share)
		t.Logf("%v %%: %v more", 100*share, more.Round(100*time.Microsecond))
		if more > limit {
			t.Errorf("%v %% of first handshakes take %v more, the limit is %v", 100*share, more, limit)
		}
	}
	f.startTraffic(probes, 0)
	f.flood()
}

// flood sends initiations of keys that nobody knows to all gateways.
func (f *fleet) flood() {
	t := f.t
	t.Helper()
	const rate, keys, time4all = 2000, 4000, 10 * time.Second
	from := f.goHosts[0]
	from.Must("ip route add local 198.18.0.0/16 dev lo")
	w := load.Start(from, load.Flood, load.Job{Remote: fmt.Sprintf("%s:%d", service, port), Flood: load.Strangers, PacketRate: rate, Count: keys, Peers: f.peers})
	var before [gateways]lab.Stat
	var lookUps [gateways]uint64
	for i := range gateways {
		before[i], lookUps[i] = f.memory(i), f.report(i).LookUps.Count
	}
	f.traffic.Ask()
	time.Sleep(time4all)
	lab.Until(t, 20*time.Second, "each gateway gets more initiations than there are keys", func() (bool, string) {
		sent := w.Ask().Packets
		return sent > 4*keys, fmt.Sprintf("%d initiations of %d keys", sent, keys)
	})
	silences := f.traffic.Ask().Silences
	sent := w.Ask().Packets
	w.Stop()
	var list []time.Duration
	for _, s := range silences {
		list = append(list, length(s))
	}
	t.Logf("%d initiations of %d keys; the longest silences of the peers: %s", sent, keys, distribution(list))
	if late := countOver(list, *promptly); late > len(list)/100 {
		t.Errorf("%d of %d peers had no answers for %v", late, len(list), *promptly)
	}
	for i := range gateways {
		now, r := f.memory(i), f.report(i)
		t.Logf("gateway %d: %d wants, %d missed, %d look-ups more; daemon and wgd-peers have %d KB, before %d KB", i+1, r.Wants["unknown_key"], r.Missed, r.LookUps.Count-lookUps[i], now.Resident, before[i].Resident)
		if looked := r.LookUps.Count - lookUps[i]; looked > keys || r.Wants["unknown_key"] > keys+uint64(len(f.publics)) {
			t.Errorf("gateway %d: %d look-ups and %d wants for %d keys", i+1, looked, r.Wants["unknown_key"], keys)
		}
		if more := now.Resident - before[i].Resident; more > 60<<10 {
			t.Errorf("gateway %d takes %d KB more", i+1, more)
		}
	}
}

// memory returns what the daemon and wgd-peers of a gateway use together.
func (f *fleet) memory(gateway int) lab.Stat {
	f.t.Helper()
	g := f.gateways[gateway]
	sum := g.Daemon(lab.Ours).Stat()
	sum.Resident += g.Daemon("wgd-peers").Stat().Resident
	return sum
}

func durations(nanoseconds []int64) (list []time.Duration) {
	for _, n := range nanoseconds {
		list = append(list, time.Duration(n))
	}
	return list
}

func percentile(list []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
