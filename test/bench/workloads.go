package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// A workload measures a testbed. Its figures are those of one row or several.
type workload struct {
	title string
	once  bool // the result does not vary: one round is enough
	alone bool // other programs do not disturb it: it has no load
	// inside says that no daemon is measured, but programs with a stack inside.
	inside bool
	run    measurement
	// wantRate is the rate that figure 1 should reach, in the unit rateUnit, or 0 if there
	// is none. If it does not, the table says so.
	wantRate float64
	rateUnit string
	// offers says that figure 0 is what arrives, as a rate, and figure 2 what the load has
	// sent. If nearly all arrives, the load is the limit, and the table says so.
	offers bool
}

type measurement func(t lab.T, s *testbed, length time.Duration) (figures []float64)

var (
	oneStream      = &workload{title: "one TCP stream", run: stream(load.Job{Streams: 1})}
	fourStreams    = &workload{title: "four TCP streams", run: stream(load.Job{Streams: 4})}
	otherWay       = &workload{title: "TCP the other way", run: reverse(stream(load.Job{Streams: 1}))}
	smallUDP       = &workload{title: "64-byte UDP", run: datagrams(64)}
	noGSO          = &workload{title: "TCP, no UDP GSO on the wire", run: withoutGSO(stream(load.Job{Streams: 1}))}
	idlePing       = &workload{title: "idle ping", run: ping(nil)}
	loadPing       = &workload{title: "ping beside 1 Gbit/s", run: ping(&load.Job{Streams: 1, Rate: 1e9}), wantRate: 1, rateUnit: "Gbit/s"}
	fullPing       = &workload{title: "ping beside a full stream", run: ping(&load.Job{Streams: 1})}
	stackStream    = &workload{title: "TCP through a stack in the process", inside: true, run: stackRun(false)}
	lateSend       = &workload{title: "66 ms, the stack sends", inside: true, once: true, run: throughLatePath(true)}
	lateReceive    = &workload{title: "66 ms, the stack receives", inside: true, once: true, run: throughLatePath(false)}
	capturedStream = &workload{title: "TCP, perhaps captured", run: streamCaptured(oursUncaptured)}
	asResponder    = &workload{title: "handshakes as responder", run: respond}
	asInitiator    = &workload{title: "handshakes as initiator", run: initiate}
	gatewayIn1420  = gatewayWorkload("packets of 1,420 bytes from 200 peers", fromPeers, 1420)
	gatewayOut1420 = gatewayWorkload("packets of 1,420 bytes to 200 peers", toPeers, 1420)
	gatewayIn100   = gatewayWorkload("packets of 100 bytes from 200 peers", fromPeers, 100)
	gatewayOut100  = gatewayWorkload("packets of 100 bytes to 200 peers", toPeers, 100)
	floodIn1420    = gatewayFlood("as many as possible of 1,420 bytes from 200 peers", fromPeers, 1420)
	floodOut1420   = gatewayFlood("as many as possible of 1,420 bytes to 200 peers", toPeers, 1420)
	floodIn100     = gatewayFlood("as many as possible of 100 bytes from 200 peers", fromPeers, 100)
	floodOut100    = gatewayFlood("as many as possible of 100 bytes to 200 peers", toPeers, 100)
	memory         = &workload{title: "10,000 idle peers", run: resident, once: true, alone: true}
)

// warmUp is how long a load runs before it is measured.
const warmUp = 500 * time.Millisecond

// stream sends TCP from b to a. The figures are Gbit/s at the receiver, and CPU
// seconds of both daemons for each 10^9 bytes.
func stream(j load.Job) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		sink := load.Start(p.a, load.TCPSink, load.Job{})
		defer sink.Stop()
		j.Remote = p.innerA()
		source := load.Start(p.b, load.TCPSource, j)
		defer source.Stop()
		w := window(t, p, sink, length)
		return []float64{w.Gigabits(), w.cpu.Seconds() / (float64(w.Bytes) / 1e9)}
	}
}

// datagrams sends UDP datagrams as fast as one sender can. The figures are thousands
// per second at the receiver, and the CPU time of both daemons for each, in µs.
func datagrams(size int) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		sink := load.Start(p.a, load.UDPSink, load.Job{})
		defer sink.Stop()
		source := load.Start(p.b, load.UDPSource, load.Job{Remote: p.innerA(), Size: size})
		defer source.Stop()
		w := window(t, p, sink, length)
		n := float64(w.Packets)
		return []float64{n / w.Seconds() / 1e3, w.cpu.Seconds() / n * 1e6}
	}
}

// ping sends ICMP echoes, during a load if there is one. The figures are the average
// round trip in ms, and the Gbit/s of the load.
func ping(during *load.Job) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		// Enough for an average, and fewer in a short run.
		count := int(min(max(length/(10*time.Millisecond), 50), 200))
		pinger := load.Start(p.b, load.Ping, load.Job{Remote: p.innerA(), Count: count})
		defer pinger.Stop()
		if during == nil {
			return []float64{pinger.Ask().Milliseconds(), 0}
		}
		sink := load.Start(p.a, load.TCPSink, load.Job{})
		defer sink.Stop()
		j := *during
		j.Remote = p.innerA()
		source := load.Start(p.b, load.TCPSource, j)
		defer source.Stop()
		time.Sleep(warmUp)
		before := sink.Ask()
		average := pinger.Ask().Milliseconds()
		return []float64{average, sink.Ask().Since(before).Gigabits()}
	}
}

// reverse exchanges the roles of the hosts for a measurement.
func reverse(run measurement) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		p.exchange()
		defer p.exchange()
		return run(t, s, length)
	}
}

// overIPv6 runs a measurement with IPv6 inside and outside.
func overIPv6(run measurement) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		p.setFamily(true)
		defer p.setFamily(false)
		return run(t, s, length)
	}
}

// withoutGSO runs a measurement on a wire that transmits datagrams one by one: the
// kernel splits trains before it, and nothing joins the datagrams after it.
func withoutGSO(run measurement) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.tunnel(t)
		set := func(segments int) {
			for _, h := range []*lab.Host{p.a, p.b} {
				h.Must("ip link set eth0 gso_max_segs %d", segments)
			}
		}
		set(1)
		defer set(65535)
		return run(t, s, length)
	}
}

// idlePeers is the number of peers of the figure memory.
const idlePeers = 10_000

// resident measures the resident memory of a daemon, in 10^6 bytes, with an
// interface that is up and peers that send nothing.
func resident(t lab.T, s *testbed, _ time.Duration) []float64 {
	h := lab.NewHost(t, "c")
	defer h.Halt()
	d := startDaemon(h, s.program, s.nice)
	d.Set(idlers(idlePeers)...)
	h.Must("ip link set wg0 up")
	time.Sleep(3 * time.Second)
	return []float64{float64(d.Stat().Resident) * 1024 / 1e6}
}

// idlers returns the configuration of an interface with n peers.
func idlers(n int) []string {
	lines := []string{"private_key=" + newKey().private, "listen_port=1234"}
	for i := range n {
		lines = append(lines, "public_key="+newKey().public,
			fmt.Sprintf("endpoint=192.0.2.%d:%d", 1+i%250, 1000+i),
			fmt.Sprintf("allowed_ip=10.%d.%d.0/32", i>>8, i&255),
			fmt.Sprintf("allowed_ip=fd00::%x/128", i))
	}
	return lines
}
