package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

const (
	eventRounds  = 60 // with and without readers; even
	eventRound   = 2 * time.Second
	eventReaders = 4
	eventPackets = 40_000 // a second: less than fill the processors, so that nothing queues
)

// readEvents measures what readers of events cost a daemon with many peers: its processor
// time for a packet and its memory, with and without them. Every second round begins with
// the readers, so that what changes with time hits both alike. In all rounds, packets
// arrive at the same rate, and ten changes of the configuration a second are events.
func readEvents(t lab.T, o options) []figure {
	a, b, d := oneOfMany(t, o.peers)
	a.Must("setsid sh -c 'while sleep 0.1; do wg set wg0 fwmark 0; done' >/dev/null 2>&1 </dev/null & echo $! >/run/changes.pid")
	sink := load.Start(a, load.UDPSink, load.Job{})
	defer sink.Stop()
	source := load.Start(b, load.UDPSource, load.Job{Remote: lab.InnerA4, Size: 1000, PacketRate: eventPackets})
	defer source.Stop()
	time.Sleep(3 * time.Second) // until the memory of the request is returned

	var cost, resident [2][]float64 // without readers, and with them
	reading := 0
	for i := range 2 * eventRounds {
		if want := (i + 1) / 2 % 2; want != reading {
			switchReaders(t, a, want == 1)
			reading = want
			time.Sleep(time.Second) // until the readers, or their end, cost no more than their events
		}
		cost[reading] = append(cost[reading], perPacket(d, sink))
		resident[reading] = append(resident[reading], float64(d.Stat().Resident)*1024/1e6)
	}
	a.Must("kill $(cat /run/changes.pid)")
	var ratios, equal, more []float64
	for i := range eventRounds {
		ratios = append(ratios, cost[1][i]/cost[0][i])
		more = append(more, resident[1][i]-resident[0][i])
	}
	for i := 1; i+1 < eventRounds; i += 2 { // two rounds without readers, one after the other
		equal = append(equal, cost[0][i+1]/cost[0][i])
	}
	low, high := medianRange(ratios)
	name := fmt.Sprintf("%d peers, %d packets of 1,000 bytes a second, median of %d rounds: ", o.peers, eventPackets, eventRounds)
	return []figure{
		{name + "CPU for a packet, no reader of events", fmt.Sprintf("%.0f ns", median(cost[0]))},
		{name + fmt.Sprintf("%d readers", eventReaders), fmt.Sprintf("%.0f ns", median(cost[1]))},
		{name + "ratio of a round", fmt.Sprintf("%.3f (%.3f to %.3f), its median in 95 of 100 repetitions %.3f to %.3f", median(ratios), slices.Min(ratios), slices.Max(ratios), low, high)},
		{name + "ratio of two rounds without readers", fmt.Sprintf("%.3f (%.3f to %.3f)", median(equal), slices.Min(equal), slices.Max(equal))},
		{name + "more resident memory with the readers", fmt.Sprintf("%.1f MB (at most %.1f)", median(more), slices.Max(more))},
	}
}

// switchReaders starts the readers, and waits until all get events; or ends them.
func switchReaders(t lab.T, a *lab.Host, on bool) {
	if !on {
		a.Must("kill $(cat /run/readers); rm /run/readers /run/events.*")
		return
	}
	a.Must("for i in $(seq %d); do setsid wgd watch --json --since 0 wg0 >/run/events.$i 2>&1 </dev/null & echo $! >>/run/readers; done", eventReaders)
	lab.Until(t, 30*time.Second, "all readers get events", func() (bool, string) {
		n := strings.TrimSpace(a.Must("grep -l configuration-changed /run/events.* | wc -l"))
		return n == fmt.Sprint(eventReaders), n
	})
}

// perPacket returns the daemon's processor time for a packet, in nanoseconds.
func perPacket(d *lab.Daemon, sink *load.Worker) float64 {
	cpu, packets := d.Stat().CPU, sink.Ask()
	time.Sleep(eventRound)
	used := d.Stat().CPU - cpu
	return float64(used.Nanoseconds()) / float64(sink.Ask().Since(packets).Packets)
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// medianRange returns the order statistics between which the median of the distribution
// lies with a probability of 95 %, whatever the distribution is (sign test).
func medianRange(list []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(list))
	half := int(0.98 * math.Sqrt(float64(len(list)))) // 1.96 standard deviations of a fair coin's count
	middle := len(list) / 2
	return sorted[max(middle-half-1, 0)], sorted[min(middle+half, len(list)-1)]
}
