package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
	"wgd/test/stackload"
)

// A latePath is two hosts, and a relay between them that delays all datagrams by
// 33 ms, and 1 % of them by 5 ms more. The kernel's TCP, through two daemons, is
// compared with that of a stack in a process, at one of the ends.
type latePath struct {
	program  string
	nice     int
	from, to *lab.Host
	kf, kt   keys
}

const (
	// lateLength is how long a stream is measured, after lateWarmUp. A connection
	// needs a few seconds to find its rate.
	lateLength, lateWarmUp = 6 * time.Second, 4 * time.Second
	relayPort              = 5001
)

// throughLatePath sends a stream from one host to the other, first with the kernel's
// TCP at both ends, then with the stack at one. The figures are the rate of the
// second in percent of the first, and both in Mbit/s.
func throughLatePath(stackSends bool) measurement {
	return func(t lab.T, s *testbed, _ time.Duration) []float64 {
		p := &latePath{program: s.program, nice: s.nice, kf: newKey(), kt: newKey()}
		relay := lab.NewHost(t, "r")
		p.from, p.to = lab.NewHost(t, "f"), lab.NewHost(t, "t")
		defer relay.Halt()
		defer p.from.Halt()
		defer p.to.Halt()
		lab.Link(p.from, "eth0", []string{"192.0.2.1/24"}, relay, "eth0", []string{"192.0.2.254/24"})
		lab.Link(p.to, "eth0", []string{"198.51.100.1/24"}, relay, "eth1", []string{"198.51.100.254/24"})
		w := load.Start(relay, load.LateRelay, load.Job{Remote: fmt.Sprint("198.51.100.1:", portA)})
		defer w.Stop()

		from, to := p.daemon(p.from), p.daemon(p.to)
		kernel := p.rate(t, p.kernelSink, p.kernelSource)
		var stack float64
		if stackSends {
			from.Kill()
			stack = p.rate(t, p.kernelSink, p.stackSource)
		} else {
			to.Kill()
			from.Kill() // it has a session that nobody knows any more
			p.daemon(p.from)
			stack = p.rate(t, p.stackSink, p.kernelSource)
		}
		return []float64{100 * stack / kernel, kernel, stack}
	}
}

// daemon starts a daemon on one of the hosts.
func (p *latePath) daemon(h *lab.Host) *lab.Daemon {
	d := startDaemon(h, p.program, p.nice)
	if h == p.to {
		d.Set("private_key="+p.kt.private, fmt.Sprint("listen_port=", portA), "public_key="+p.kf.public, "allowed_ip="+inner4B+"/32")
		h.Must("ip addr add %s/24 dev wg0 && ip link set wg0 mtu 1420 up", inner4A)
		return d
	}
	d.Set("private_key="+p.kf.private, "public_key="+p.kt.public, "allowed_ip="+inner4A+"/32", fmt.Sprint("endpoint=192.0.2.254:", relayPort))
	h.Must("ip addr add %s/24 dev wg0 && ip link set wg0 mtu 1420 up", inner4B)
	return d
}

// A counter reports what has arrived so far.
type counter func() (bytes uint64, nanoseconds int64)

// rate sends a stream, and returns its rate in Mbit/s.
func (p *latePath) rate(t lab.T, sink func() (counter, func()), source func() func()) float64 {
	count, stopSink := sink()
	defer stopSink()
	defer source()()
	time.Sleep(lateWarmUp)
	bytes, at := count()
	time.Sleep(lateLength)
	more, end := count()
	if more == bytes {
		t.Fatalf("%s: nothing arrived through the path of 66 ms", p.program)
	}
	return float64(more-bytes) * 8e3 / float64(end-at)
}

func (p *latePath) kernelSink() (counter, func()) {
	w := load.Start(p.to, load.TCPSink, load.Job{})
	return func() (uint64, int64) { r := w.Ask(); return r.Bytes, r.Nanoseconds }, w.Stop
}

func (p *latePath) kernelSource() func() {
	return load.Start(p.from, load.TCPSource, load.Job{Remote: inner4A, Streams: 1}).Stop
}

func (p *latePath) stackSink() (counter, func()) {
	w := stackload.Start(p.to, stackProgram(p.program), stackload.Sink, stackload.Tunnel{
		Private: p.kt.private, Peer: p.kf.public, Address: inner4A, Port: portA, Remote: inner4A + ":5001"})
	return func() (uint64, int64) { r := w.Ask(); return r.Bytes, r.Nanoseconds }, w.Stop
}

func (p *latePath) stackSource() func() {
	return stackload.Start(p.from, stackProgram(p.program), stackload.Source, stackload.Tunnel{
		Private: p.kf.private, Peer: p.kt.public, Address: inner4B, Endpoint: fmt.Sprint("192.0.2.254:", relayPort), Remote: inner4A + ":5001"}).Stop
}
