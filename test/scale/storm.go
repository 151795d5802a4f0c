package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

const (
	stormPeers = 6000
	serverPort = 1234
	// pingEvery is the interval of pings. All of them fit into a storm.
	pingEvery = 3 * time.Millisecond
	pings     = 250
)

// stormSetup is a tunnel between two hosts. The daemon at one end has many more
// peers, which a worker simulates on the other host.
type stormSetup struct {
	daemon *lab.Daemon
	from   *lab.Host
	peers  *load.Peers
	sink   *load.Worker // of streams through the tunnel
}

// storm measures pings and a stream through the tunnel of a peer with a session,
// while thousands of other peers initiate handshakes with the daemon as fast as
// it answers.
func storm(t lab.T, _ options) []figure {
	a, b := lab.Pair(t)
	ta, _ := lab.Connect(a, b, fmt.Sprintf("192.0.2.1:%d", serverPort), lab.Settings{Port: serverPort}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	public, err := base64.StdEncoding.DecodeString(ta.Public)
	if err != nil {
		t.Fatalf("the key of host a: %v", err)
	}
	s := stormSetup{daemon: a.Daemon(lab.Ours), from: b, peers: &load.Peers{Peers: stormPeers, Daemon: hex.EncodeToString(public)}}
	var lines []string
	for _, public := range s.peers.Publics() {
		lines = append(lines, "public_key="+public)
	}
	s.daemon.Set(lines...)
	s.sink = load.Start(a, load.TCPSink, load.Job{})
	defer s.sink.Stop()
	list := []figure{
		{"ping every 3 ms, idle", s.pings(t)},
		{"one TCP stream, alone", s.stream(time.Second)},
	}
	list = append(list, s.duringStorm("ping every 3 ms during a storm", func() string { return s.pings(t) })...)
	return append(list, s.duringStorm("one TCP stream during a storm", func() string { return s.stream(700 * time.Millisecond) })...)
}

// duringStorm calls f during a storm, and returns its figure and that of the storm.
func (s stormSetup) duringStorm(what string, f func() string) []figure {
	w := load.Start(s.from, load.Storm, load.Job{Remote: fmt.Sprintf("192.0.2.1:%d", serverPort), Count: stormPeers, Peers: s.peers})
	defer w.Stop()
	before := s.daemon.Stat().CPU
	begun := w.Ask()
	time.Sleep(100 * time.Millisecond)
	within := w.Ask()
	measured := f()
	end := w.Ask()
	cpu := s.daemon.Stat().CPU - before
	if end.Packets == stormPeers {
		what += " (the storm ended earlier)"
	}
	r := end.Since(within)
	text := fmt.Sprintf("%.0f handshakes a second; the daemon's CPU, with that of the data, %.0f µs for each",
		float64(r.Packets)/r.Seconds(), cpu.Seconds()*1e6/float64(max(1, end.Since(begun).Packets)))
	if end.Lost > 0 {
		text += fmt.Sprintf("; %d initiations were not answered in time", end.Lost)
	}
	return []figure{{what, measured}, {"the storm meanwhile", text}}
}

// pings measures pings through the tunnel: the median, the 99th percentile and the
// slowest.
func (s stormSetup) pings(t lab.T) string {
	times, lost := s.from.PingTimes(lab.InnerA4, pings, pingEvery)
	if lost > pings/10 {
		t.Fatalf("%d of %d pings were not answered", lost, lost+len(times))
	}
	slices.Sort(times)
	n := len(times)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	return fmt.Sprintf("median %.2f ms, 99 %% within %.2f ms, all within %.2f ms", ms(times[n/2]), ms(times[n*99/100]), ms(times[n-1]))
}

// stream measures the rate of a TCP stream through the tunnel.
func (s stormSetup) stream(length time.Duration) string {
	w := load.Start(s.from, load.TCPSource, load.Job{Remote: lab.InnerA4, Streams: 1})
	defer w.Stop()
	time.Sleep(100 * time.Millisecond)
	before := s.sink.Ask()
	time.Sleep(length)
	return fmt.Sprintf("%.2f Gbit/s", s.sink.Ask().Since(before).Gigabits())
}
