package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"wgd/key"
	"wgd/test/lab"
)

const (
	stormPeers = 6000
	serverPort = 1234
	// pingEvery is in milliseconds; as many pings as fit into a storm.
	pingEvery = 3
	pings     = 250
)

// storm has thousands of peers begin a handshake with one daemon, as fast as it
// answers, while another peer, whose session stands, has pings answered and a
// stream carried through its tunnel.
func storm(t lab.T, _ options) (list []figure) {
	a, b := lab.Pair(t)
	ta, _ := lab.Connect(a, b, fmt.Sprintf("192.0.2.1:%d", serverPort), lab.Settings{Port: serverPort}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	d := &daemon{a, a.PIDs(lab.Ours)[0]}
	var change strings.Builder
	change.WriteString("set=1\n")
	for _, public := range publics() {
		fmt.Fprintf(&change, "public_key=%s\n", hex.EncodeToString(public[:]))
	}
	d.ask(t, change.String()+"\n")

	sink := startSource(t, a, source{Role: "sink"})
	defer sink.stop()
	list = append(list, figure{"ping every 3 ms, idle", pingTimes(t, b)})
	list = append(list, figure{"one TCP stream, alone", stream(t, b, sink, time.Second)})

	list = append(list, stormBeside(t, d, ta.Public, b, func() figure {
		return figure{"ping every 3 ms beside a storm", pingTimes(t, b)}
	})...)
	list = append(list, stormBeside(t, d, ta.Public, b, func() figure {
		return figure{"one TCP stream beside a storm", stream(t, b, sink, 700*time.Millisecond)}
	})...)
	return list
}

// stormBeside measures what f measures during a storm from host b, and the storm.
func stormBeside(t lab.T, d *daemon, public string, b *lab.Host, f func() figure) []figure {
	s := startSource(t, b, source{Role: "storm", Server: public})
	defer s.stop()
	before := d.stat(t).CPU
	begun := s.ask(t)
	time.Sleep(100 * time.Millisecond)
	within := s.ask(t)
	beside := f()
	end := s.ask(t)
	cpu := d.stat(t).CPU - before
	if end.Count == stormPeers {
		beside.what += " (which ended before)"
	}
	rate := float64(end.Count-within.Count) / (end.At - within.At).Seconds()
	each := cpu.Seconds() * 1e6 / float64(max(1, end.Count-begun.Count))
	return []figure{beside,
		{"the storm beside it", fmt.Sprintf("%.0f handshakes a second; the daemon's CPU, with that of the data, %.0f µs for each", rate, each)}}
}

// pingTimes pings through the tunnel and gives the median, the 99th percentile
// and the slowest.
func pingTimes(t lab.T, h *lab.Host) string {
	r := h.Run(fmt.Sprintf("ping -n -c %d -i 0.%03d -W 2 %s", pings, pingEvery, lab.InnerA4))
	var times []float64
	for line := range strings.Lines(r.Out) {
		if _, after, ok := strings.Cut(line, "time="); ok {
			ms, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
			if err != nil {
				t.Fatalf("ping says %q", line)
			}
			times = append(times, ms)
		}
	}
	if len(times) < pings*9/10 {
		t.Fatalf("%d of %d pings were answered\n%s%s", len(times), pings, r.Out, r.Err)
	}
	slices.Sort(times)
	n := len(times)
	return fmt.Sprintf("median %.2f ms, 99 %% within %.2f ms, all within %.2f ms", times[n/2], times[n*99/100], times[n-1])
}

// stream is what arrives of a TCP stream through the tunnel.
func stream(t lab.T, from *lab.Host, sink *process, length time.Duration) string {
	s := startSource(t, from, source{Role: "stream"})
	defer s.stop()
	time.Sleep(100 * time.Millisecond)
	before := sink.ask(t)
	time.Sleep(length)
	after := sink.ask(t)
	return fmt.Sprintf("%.2f Gbit/s", float64(after.Count-before.Count)*8/(after.At-before.At).Seconds()/1e9)
}

// publics are the keys of the storm's peers.
func publics() []key.Public {
	list := make([]key.Public, stormPeers)
	inParallel(len(list), func(i int) { list[i] = stormKey(i).Public() })
	return list
}
