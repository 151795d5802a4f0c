package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

const (
	eventRounds  = 15 // with and without readers, in turn
	eventRound   = 2 * time.Second
	eventReaders = 4
)

// readEvents measures what readers of events cost a daemon with many peers: its processor
// time for a packet and its memory, with and without them, in rounds that alternate. In
// all rounds, packets arrive as fast as one thread can send them, and ten changes of the
// configuration a second are events.
func readEvents(t lab.T, o options) []figure {
	a, b, d := oneOfMany(t, o.peers)
	a.Must("setsid sh -c 'while sleep 0.1; do wg set wg0 fwmark 0; done' >/dev/null 2>&1 </dev/null & echo $! >/run/changes.pid")
	sink := load.Start(a, load.UDPSink, load.Job{})
	defer sink.Stop()
	source := load.Start(b, load.UDPSource, load.Job{Remote: lab.InnerA4, Size: 1000})
	defer source.Stop()
	time.Sleep(3 * time.Second) // until the memory of the request is returned

	var without, with, resident, ratios []float64
	for range eventRounds {
		idle := perPacket(d, sink)
		before := d.Stat().Resident
		a.Must("for i in $(seq %d); do setsid wgd watch --json --since 0 wg0 >/run/events.$i 2>&1 </dev/null & echo $! >>/run/readers; done", eventReaders)
		lab.Until(t, 30*time.Second, "all readers get events", func() (bool, string) {
			n := strings.TrimSpace(a.Must("grep -l configuration-changed /run/events.* | wc -l"))
			return n == fmt.Sprint(eventReaders), n
		})
		read := perPacket(d, sink)
		without, with, ratios = append(without, idle), append(with, read), append(ratios, read/idle)
		resident = append(resident, float64(d.Stat().Resident-before)*1024/1e6)
		a.Must("kill $(cat /run/readers); rm /run/readers /run/events.*")
	}
	a.Must("kill $(cat /run/changes.pid)")
	name := fmt.Sprintf("%d peers, UDP of 1,000 bytes, median of %d rounds: ", o.peers, eventRounds)
	return []figure{
		{name + "CPU for a packet, no reader of events", fmt.Sprintf("%.0f ns", median(without))},
		{name + fmt.Sprintf("%d readers", eventReaders), fmt.Sprintf("%.0f ns", median(with))},
		{name + "ratio of two successive rounds", fmt.Sprintf("%.3f (%.3f to %.3f)", median(ratios), slices.Min(ratios), slices.Max(ratios))},
		{name + "more resident memory with the readers", fmt.Sprintf("%.1f MB (at most %.1f)", median(resident), slices.Max(resident))},
	}
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
