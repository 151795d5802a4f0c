package main

import (
	"fmt"
	"os"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// A gateway has packets of many peers, one of each in turn. A worker has the sessions
// of all peers, made with real handshakes. In, it sends their packets, which the kernel
// takes from the daemon and drops. Out, another worker sends packets to all of them in
// turn, on the host of the daemon, and the first counts what arrives on the wire.

const (
	manyPeers   = 200
	gatewayRate = 60_000 // packets a second
)

// A gatewayMeasurement is that of packets of a size at a rate, or as many as possible.
type gatewayMeasurement func(size int, rate float64) measurement

// gatewayWorkload offers packets at gatewayRate.
func gatewayWorkload(title string, of gatewayMeasurement, size int) *workload {
	return &workload{title: title, run: of(size, gatewayRate), wantRate: gatewayRate / 1e3, rateUnit: "thousand a second"}
}

// gatewayFlood offers as many packets as one thread can send, and counts what arrives.
func gatewayFlood(title string, of gatewayMeasurement, size int) *workload {
	run := of(size, 0)
	return &workload{title: title, offers: true, run: func(t lab.T, s *testbed, length time.Duration) []float64 {
		f := run(t, s, length)
		return []float64{f[1], f[0], f[2]}
	}}
}

// headers is the length of the headers of an inner packet, which are IPv4 and UDP.
const headers = 20 + 8

// split returns how many packets of a size the kernel has taken, if it was as many bytes
// in as many packets. A daemon that is late has several packets of one peer at a time, and
// joins them: headers are then there only once.
func split(bytes, packets uint64, size int) (n uint64, ok bool) {
	payload := uint64(size - headers)
	texts := bytes - packets*headers
	return texts / payload, bytes >= packets*headers && texts%payload == 0
}

// fromPeers measures packets that arrive from many peers. The figures are the CPU time of
// the daemon for each packet that the kernel took from it, in µs, and thousands a second
// that the kernel took, and that were sent.
func fromPeers(size int, rate float64) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.handshakes(t)
		p.becomeGateway()
		defer p.forget()
		source := load.Start(p.from, load.PeersSend, load.Job{Remote: daemonAt, Size: size, PacketRate: rate, Peers: p.meet(manyPeers, false)})
		defer source.Stop()
		time.Sleep(warmUp)
		bytes, packets := p.received(t)
		before := gatewayReading{source.Ask(), p.daemon.Stat().CPU, 0}
		time.Sleep(length)
		moreBytes, morePackets := p.received(t)
		after := gatewayReading{source.Ask(), p.daemon.Stat().CPU, 0}
		var ok bool
		if after.delivered, ok = split(moreBytes-bytes, morePackets-packets, size); !ok {
			t.Fatalf("%s: the kernel has taken %d packets with %d bytes: others than packets of %d bytes", s.program, morePackets-packets, moreBytes-bytes, size)
		}
		return after.figures(t, s.program, before)
	}
}

// toPeers measures packets that leave to many peers. The figures are like those of
// fromPeers, for packets that arrived on the wire's other end.
func toPeers(size int, rate float64) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p := s.handshakes(t)
		p.becomeGateway()
		defer p.forget()
		sink := load.Start(p.from, load.PeersReceive, load.Job{Remote: daemonAt, Peers: p.meet(manyPeers, false)})
		defer sink.Stop()
		source := load.Start(p.host, load.UDPRound, load.Job{Count: manyPeers, Size: size - headers, PacketRate: rate})
		defer source.Stop()
		time.Sleep(warmUp)
		before, sunk := gatewayReading{source.Ask(), p.daemon.Stat().CPU, 0}, sink.Ask()
		time.Sleep(length)
		after, arrived := gatewayReading{source.Ask(), p.daemon.Stat().CPU, 0}, sink.Ask().Since(sunk)
		after.delivered = arrived.Packets
		if known := float64(arrived.Opened) * load.SampleOf; known < 0.7*float64(arrived.Packets) || known > 1.3*float64(arrived.Packets) {
			t.Fatalf("%s: %d packets arrived, but the sample of one in %d that was decrypted has %d", s.program, arrived.Packets, load.SampleOf, arrived.Opened)
		}
		return after.figures(t, s.program, before)
	}
}

// A gatewayReading is what was done so far.
type gatewayReading struct {
	load.Reading // of the worker that sends
	cpu          time.Duration
	delivered    uint64
}

// figures returns the figures since an earlier reading.
func (r gatewayReading) figures(t lab.T, program string, before gatewayReading) []float64 {
	sent, n := r.Since(before.Reading), float64(r.delivered-before.delivered)
	if n == 0 || sent.Packets == 0 {
		t.Fatalf("%s: of %d packets, none arrived", program, sent.Packets)
	}
	return []float64{(r.cpu - before.cpu).Seconds() / n * 1e6, n / sent.Seconds() / 1e3, float64(sent.Packets) / sent.Seconds() / 1e3}
}

// becomeGateway gives the host of the daemon routes to the peers, and for what comes
// from them: the kernel takes it from the TUN interface, and drops it.
func (p *handshakePair) becomeGateway() {
	if p.gateway {
		return
	}
	p.host.Must("ip addr add 10.255.255.1/32 dev wg0 && ip link set wg0 mtu 1420 up && ip route add 10.0.0.0/8 dev wg0")
	p.host.Must("ip route add blackhole %s/32", load.InnerSink)
	p.gateway = true
}

// received returns how many bytes and packets the kernel has taken from the tunnel.
func (p *handshakePair) received(t lab.T) (bytes, packets uint64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", p.host.PID()))
	if err == nil {
		bytes, packets, err = load.Received(string(text), "wg0")
	}
	if err != nil {
		t.Fatalf("host %s: %v", p.host.Name, err)
	}
	return bytes, packets
}
