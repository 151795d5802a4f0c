package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
)

// A row is one figure of the table, and what is asked of it.
type row struct {
	id, title, unit string
	usual           bool // measured unless other rows are asked for
	floor           *floor
}

// floor is a limit for the ratio of our figure to wireguard-go's, or for our
// figure itself.
type floor struct {
	absolute bool
	least    bool // at least the limit; else at most
	limit    float64
}

// A trial is one measurement on a pair of hosts, which gives the figures of one
// row or of several.
type trial struct {
	title string
	rows  []row
	once  bool // says the same every time: one run is enough
	alone bool // no load: what it measures is not disturbed by other programs
	run   func(t lab.T, p *pair, length time.Duration) []float64
}

// trials is all there is to measure. A new row is a line here and a function.
var trials = []trial{
	{title: "one TCP stream", run: stream(job{Streams: 1}), rows: []row{
		{"tcp", "one TCP stream", "Gbit/s", true, &floor{least: true, limit: 1.5}},
		{"tcp-cpu", "its CPU, both daemons", "s/GB", true, &floor{limit: 0.65}}}},
	{title: "idle ping", run: ping(nil), rows: []row{
		{"ping", "ping, idle", "ms", true, nil}}},
	{title: "10,000 idle peers", run: memory, once: true, alone: true, rows: []row{
		{"memory", "10,000 idle peers, resident", "MB", true, &floor{absolute: true, limit: 40}}}},

	{title: "TCP the other way", run: reverse(stream(job{Streams: 1})), rows: []row{
		{"tcp-reverse", "TCP the other way", "Gbit/s", false, nil},
		{"tcp-reverse-cpu", "its CPU, both daemons", "s/GB", false, nil}}},
	{title: "four TCP streams", run: stream(job{Streams: 4}), rows: []row{
		{"tcp4", "four TCP streams", "Gbit/s", false, nil},
		{"tcp4-cpu", "their CPU, both daemons", "s/GB", false, nil}}},
	{title: "TCP over IPv6 in IPv6", run: outer6(stream(job{Streams: 1})), rows: []row{
		{"tcp-ipv6", "TCP, IPv6 in IPv6", "Gbit/s", false, nil},
		{"tcp-ipv6-cpu", "its CPU, both daemons", "s/GB", false, nil}}},
	{title: "TCP, no GSO on the wire", run: withoutGSO(stream(job{Streams: 1})), rows: []row{
		{"tcp-nogso", "TCP, no GSO on the wire", "Gbit/s", false, nil},
		{"tcp-nogso-cpu", "its CPU, both daemons", "s/GB", false, nil}}},
	{title: "64-byte UDP", run: datagrams(64), rows: []row{
		{"udp64", "UDP of 64 bytes", "1000/s", false, nil},
		{"udp64-cpu", "its CPU, both daemons", "µs each", false, nil}}},
	{title: "ping beside 200 Mbit/s", run: ping(&job{Streams: 1, Rate: 200e6}), rows: []row{
		{"ping-load", "ping beside 200 Mbit/s", "ms", false, nil}}},
	{title: "ping beside a full stream", run: ping(&job{Streams: 1}), rows: []row{
		{"ping-full", "ping beside a full stream", "ms", false, nil}}},
}

// rows is every row, in the order of the table.
var rows = func() (list []row) {
	for _, t := range trials {
		list = append(list, t.rows...)
	}
	return list
}()

func ids(rows []row) (list []string) {
	for _, r := range rows {
		list = append(list, r.id)
	}
	return list
}

// warmUp is how long a load runs before it is measured.
const warmUp = 700 * time.Millisecond

// stream sends TCP from b to a: Gbit/s at the receiver, and CPU seconds of both
// daemons for each 10^9 bytes.
func stream(j job) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, length time.Duration) []float64 {
		sink := start(t, p.a, job{Role: "tcp-sink"})
		defer sink.stop()
		j.Role, j.Remote = "tcp-source", p.innerA()
		source := start(t, p.b, j)
		defer source.stop()
		w := window(t, p, sink, length)
		return []float64{float64(w.bytes) * 8 / w.took.Seconds() / 1e9, w.cpu.Seconds() / (float64(w.bytes) / 1e9)}
	}
}

// datagrams sends small UDP as fast as one sender can: thousands a second at
// the receiver, and the CPU of both daemons for each.
func datagrams(size int) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, length time.Duration) []float64 {
		sink := start(t, p.a, job{Role: "udp-sink"})
		defer sink.stop()
		source := start(t, p.b, job{Role: "udp-source", Remote: p.innerA(), Size: size})
		defer source.stop()
		w := window(t, p, sink, length)
		n := float64(w.packets)
		return []float64{n / w.took.Seconds() / 1e3, w.cpu.Seconds() / n * 1e6}
	}
}

// ping is the median round trip of an ICMP echo, idle or beside a load.
func ping(beside *job) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, _ time.Duration) []float64 {
		if beside != nil {
			sink := start(t, p.a, job{Role: "tcp-sink"})
			defer sink.stop()
			j := *beside
			j.Role, j.Remote = "tcp-source", p.innerA()
			source := start(t, p.b, j)
			defer source.stop()
			time.Sleep(warmUp)
		}
		pinger := start(t, p.b, job{Role: "ping", Remote: p.innerA()})
		defer pinger.stop()
		return []float64{float64(pinger.ask(t).Nanoseconds) / 1e6}
	}
}

// reverse runs a trial with the hosts' parts exchanged.
func reverse(run func(lab.T, *pair, time.Duration) []float64) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, length time.Duration) []float64 {
		p.exchange()
		defer p.exchange()
		return run(t, p, length)
	}
}

// outer6 runs a trial with IPv6 inside and outside.
func outer6(run func(lab.T, *pair, time.Duration) []float64) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, length time.Duration) []float64 {
		p.setFamily(t, true)
		defer p.setFamily(t, false)
		return run(t, p, length)
	}
}

// withoutGSO runs a trial on a wire that carries datagrams one by one: the
// kernel takes trains apart before it, and nothing joins them behind.
func withoutGSO(run func(lab.T, *pair, time.Duration) []float64) func(lab.T, *pair, time.Duration) []float64 {
	return func(t lab.T, p *pair, length time.Duration) []float64 {
		set := func(segments int) {
			for _, h := range []*lab.Host{p.a, p.b} {
				h.Must("ip link set eth0 gso_max_segs %d", segments)
			}
		}
		set(1)
		defer set(65535)
		return run(t, p, length)
	}
}

// idlePeers is how many peers the figure of memory has.
const idlePeers = 10_000

// memory is what a daemon holds, in 10^6 bytes, with an interface that is up
// and peers that say nothing.
func memory(t lab.T, p *pair, _ time.Duration) []float64 {
	h := lab.NewHost(t, "c")
	defer h.Halt()
	d := startDaemon(t, h, p.daemon, p.nice)
	d.configure(t, crowd(idlePeers))
	h.Must("ip link set wg0 up")
	time.Sleep(3 * time.Second)
	return []float64{float64(d.stat(t).Resident) * 1024 / 1e6}
}

func crowd(n int) []string {
	lines := []string{"private_key=" + newKey().private, "listen_port=1234"}
	for i := range n {
		lines = append(lines, "public_key="+newKey().public,
			fmt.Sprintf("endpoint=192.0.2.%d:%d", 1+i%250, 1000+i),
			fmt.Sprintf("allowed_ip=10.%d.%d.0/32", i>>8, i&255),
			fmt.Sprintf("allowed_ip=fd00::%x/128", i))
	}
	return lines
}
