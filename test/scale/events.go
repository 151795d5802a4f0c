package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

const (
	eventRounds  = 60 // with each number of readers; even
	eventRound   = 2 * time.Second
	eventPackets = 40_000 // a second: less than fill the processors, so that nothing queues
)

// eventReaders are the numbers of readers that are compared with the first.
var eventReaders = []int{0, 1, 4}

// readEvents measures what readers of events cost a daemon with many peers: its processor
// time for a packet and its memory, with and without them. Every second round begins with
// the most readers, so that what changes with time affects all alike. In all rounds,
// packets arrive at the same rate, and ten changes of the configuration a second are events.
func readEvents(t lab.T, o options) []figure {
	a, b, d := oneOfMany(t, o.peers)
	a.Must("setsid sh -c 'while sleep 0.1; do wg set wg0 fwmark 0; done' >/dev/null 2>&1 </dev/null & echo $! >/run/changes.pid")
	sink := load.Start(a, load.UDPSink, load.Job{})
	defer sink.Stop()
	source := load.Start(b, load.UDPSource, load.Job{Remote: lab.InnerA4, Size: 1000, PacketRate: eventPackets})
	defer source.Stop()
	time.Sleep(3 * time.Second) // until the memory of the request is returned

	cost, resident := make([][]float64, len(eventReaders)), make([][]float64, len(eventReaders))
	for round := range eventRounds {
		for i := range eventReaders {
			if round%2 == 1 {
				i = len(eventReaders) - 1 - i
			}
			startReaders(t, a, eventReaders[i])
			cost[i] = append(cost[i], perPacket(t, d, sink))
			resident[i] = append(resident[i], float64(d.Stat().Resident)*1024/1e6)
			stopReaders(a, eventReaders[i])
		}
	}
	a.Must("kill $(cat /run/changes.pid)")

	name := fmt.Sprintf("%d peers, %d packets of 1,000 bytes a second, median of %d rounds: ", o.peers, eventPackets, eventRounds)
	figures := []figure{{name + "CPU for a packet, no reader of events", fmt.Sprintf("%.0f ns", median(cost[0]))}}
	var equal []float64
	for i := 1; i+1 < eventRounds; i += 2 { // two rounds without readers, one after the other
		equal = append(equal, cost[0][i+1]/cost[0][i])
	}
	figures = append(figures, figure{name + "ratio of two rounds without readers", ratioText(equal)})
	for i, readers := range eventReaders[1:] {
		var ratios, more []float64
		for round := range eventRounds {
			ratios = append(ratios, cost[i+1][round]/cost[0][round])
			more = append(more, resident[i+1][round]-resident[0][round])
		}
		figures = append(figures,
			figure{name + fmt.Sprintf("readers: %d", readers), fmt.Sprintf("%.0f ns", median(cost[i+1]))},
			figure{name + "ratio of a round", ratioText(ratios)},
			figure{name + "more resident memory", fmt.Sprintf("%.1f MB (at most %.1f)", median(more), slices.Max(more))})
	}
	return figures
}

// startReaders starts n readers, and waits until all get events and cost no more than
// these.
func startReaders(t lab.T, a *lab.Host, n int) {
	if n > 0 {
		a.Must("for i in $(seq %d); do setsid wgd watch --json --since 0 wg0 >/run/events.$i 2>&1 </dev/null & echo $! >>/run/readers; done", n)
		lab.Until(t, 30*time.Second, "all readers get events", func() (bool, string) {
			reading := strings.TrimSpace(a.Must("grep -l configuration-changed /run/events.* | wc -l"))
			return reading == fmt.Sprint(n), reading
		})
	}
	time.Sleep(time.Second)
}

func stopReaders(a *lab.Host, n int) {
	if n > 0 {
		a.Must("kill $(cat /run/readers); rm /run/readers /run/events.*")
	}
}

// perPacket returns the daemon's processor time for a packet, in nanoseconds.
func perPacket(t lab.T, d *lab.Daemon, sink *load.Worker) float64 {
	cpu, packets := threadTime(t, d), sink.Ask()
	time.Sleep(eventRound)
	used := threadTime(t, d) - cpu
	return float64(used.Nanoseconds()) / float64(sink.Ask().Since(packets).Packets)
}

// threadTime returns the processor time of the daemon's threads. That of /proc/PID/stat has
// ticks of 10 ms, 3 % of what a round takes.
func threadTime(t lab.T, d *lab.Daemon) (sum time.Duration) {
	files, err := filepath.Glob(d.Host.Path(fmt.Sprintf("/proc/%d/task/*/schedstat", d.PID)))
	if err != nil || len(files) == 0 {
		t.Fatalf("the kernel counts no time of threads (schedstat): %v", err)
	}
	for _, file := range files {
		var running int64
		text, err := os.ReadFile(file)
		if err == nil {
			_, err = fmt.Sscan(string(text), &running)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		sum += time.Duration(running)
	}
	return sum
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// ratioText returns the median and the range of ratios, and the order statistics between
// which the median of their distribution lies with a probability of 95 %, whatever the
// distribution is (sign test).
func ratioText(list []float64) string {
	sorted := slices.Sorted(slices.Values(list))
	half := int(0.98 * math.Sqrt(float64(len(list)))) // 1.96 standard deviations of the number of heads
	middle := len(list) / 2
	low, high := sorted[max(middle-half-1, 0)], sorted[min(middle+half, len(list)-1)]
	return fmt.Sprintf("%.3f (%.3f to %.3f), with 95 %% between %.3f and %.3f", sorted[middle], sorted[0], sorted[len(sorted)-1], low, high)
}
