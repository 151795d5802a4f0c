package main

import (
	"fmt"
	"strings"

	"wgd/internal/aead"
)

// A row is one line of the table: a figure of wgd, the same figure of another side,
// and the target.
type row struct {
	id, title, unit string
	from            *workload
	figure          int  // which figure of the workload
	side, baseline  side // by default, wgd and wireguard-go
	percent         bool // the ratio is a share, written in percent
	extra           bool // measured only with -all or -only
	target          *target
}

// A side is a program in one setting; rows compare two sides.
type side int

const (
	unset          side = iota
	ours                // wgd
	rival               // wireguard-go, or the program of -against
	relay               // wgd built without encryption
	oursIPv6            // wgd, with IPv6 inside and outside; the ones above use IPv4
	rivalIPv6           // the rival likewise
	oursProxied         // wgd, through its SOCKS5 server
	oursDirect          // wgd, beside the one before
	oursBeside          // wgd, while another peer is captured
	oursCaptured        // wgd, while the peer itself is captured
	oursUncaptured      // wgd, beside the two before
	fork                // Tailscale's fork of wireguard-go
	nebula              // nebula, which has a protocol of its own
	sidesCount
)

// sideNames are the names of the baselines other than the rival.
var sideNames = [sidesCount]string{
	relay: "no encryption", ours: "IPv4", rivalIPv6: "IPv6", oursDirect: "direct", oursUncaptured: "no capture",
	fork: "Tailscale's fork", nebula: "nebula",
}

func (s side) ipv6() bool { return s == oursIPv6 || s == rivalIPv6 }

// A target is a limit of the ratio of a row's two figures, or of the first figure
// itself.
type target struct {
	absolute bool
	minimum  bool // a lower limit; otherwise an upper one
	limit    float64
}

func atLeast(ratio float64) *target { return &target{minimum: true, limit: ratio} }
func atMost(ratio float64) *target  { return &target{limit: ratio} }

// met reports whether the medians of a row meet the target.
func (t *target) met(ours, ratio float64) bool {
	v := ratio
	if t.absolute {
		v = ours
	}
	// Both comparisons are false for NaN: it misses every target.
	if t.minimum {
		return v >= t.limit
	}
	return v <= t.limit
}

// shareTarget returns the target of the share of the relay, which depends on what the
// processor has for the cipher: the name of its kernel says that. The kernel can be
// another after a failed self-test, and the target then is that of this other one.
func shareTarget(kernel string) *target {
	if strings.HasPrefix(kernel, "AVX-512 IFMA") {
		return atLeast(0.70)
	}
	return atLeast(0.62)
}

// text returns the target for the table.
func (t *target) text(percent bool, unit string) string {
	sign := "≤"
	if t.minimum {
		sign = "≥"
	}
	switch {
	case t.absolute:
		return fmt.Sprintf("%s %g %s", sign, t.limit, unit)
	case percent:
		return fmt.Sprintf("%s %g %%", sign, 100*t.limit)
	}
	return fmt.Sprintf("%s %g×", sign, t.limit)
}

// rows is the table. A new row needs a line here, and a workload that measures its
// figure.
var rows = complete([]row{
	{id: "tcp", title: "one TCP stream", unit: "Gbit/s", from: oneStream},
	{id: "tcp4", title: "four TCP streams", unit: "Gbit/s", from: fourStreams},
	{id: "tcp-reverse", title: "TCP, the other way", unit: "Gbit/s", from: otherWay},
	{id: "share", title: "share of the relay without encryption", unit: "Gbit/s", from: oneStream, baseline: relay, percent: true, target: shareTarget(aead.Kernel())},
	{id: "tcp-cpu", title: "CPU of both ends, one stream", unit: "s/GB", from: oneStream, figure: 1, target: atMost(0.40)},
	{id: "udp64", title: "UDP of 64 bytes", unit: "1000/s", from: smallUDP, target: atLeast(3.5)},
	{id: "tcp-nogso", title: "TCP, outer link without UDP GSO", unit: "Gbit/s", from: noGSO},
	{id: "ping", title: "ping, idle, average", unit: "ms", from: idlePing},
	{id: "ping-load", title: "ping beside 1 Gbit/s, average", unit: "ms", from: loadPing},
	{id: "ping-full", title: "ping beside a full stream, average", unit: "ms", from: fullPing, target: atMost(0.4)},
	{id: "ipv6", title: "TCP, IPv6 inside and outside", unit: "Gbit/s", from: oneStream, side: oursIPv6, baseline: ours, percent: true, target: atLeast(0.95)},
	{id: "stack", title: "TCP through a stack in the process", unit: "Gbit/s", from: stackStream, target: atLeast(2)},
	{id: "stack-cpu", title: "CPU of both processes", unit: "s/GB", from: stackStream, figure: 1, target: atMost(0.6)},
	{id: "socks5", title: "the same through SOCKS5", unit: "Gbit/s", from: stackStream, side: oursProxied, baseline: oursDirect, percent: true, target: atLeast(0.85)},
	{id: "late-send", title: "66 ms, some packets late: stack sends", unit: "%", from: lateSend, target: &target{absolute: true, minimum: true, limit: 70}},
	{id: "late-receive", title: "66 ms, some packets late: stack receives", unit: "%", from: lateReceive, target: &target{absolute: true, minimum: true, limit: 70}},
	{id: "responder", title: "handshakes as responder", unit: "1/s", from: asResponder, target: atLeast(3)},
	{id: "responder-cpu", title: "CPU of the responder, each", unit: "µs", from: asResponder, figure: 1, target: atMost(0.30)},
	{id: "initiator", title: "handshakes as initiator", unit: "1/s", from: asInitiator},
	{id: "initiator-cpu", title: "CPU of the initiator, each", unit: "µs", from: asInitiator, figure: 1, target: atMost(0.40)},
	{id: "peers-in-1420", title: "200 peers in turn, 1,420 bytes, in: CPU each", unit: "µs", from: gatewayIn1420, target: atMost(0.30)},
	{id: "peers-out-1420", title: "200 peers in turn, 1,420 bytes, out: CPU each", unit: "µs", from: gatewayOut1420, target: atMost(0.33)},
	{id: "peers-in-100", title: "200 peers in turn, 100 bytes, in: CPU each", unit: "µs", from: gatewayIn100, target: atMost(0.32)},
	{id: "peers-out-100", title: "200 peers in turn, 100 bytes, out: CPU each", unit: "µs", from: gatewayOut100, target: atMost(0.32)},
	{id: "memory", title: "10,000 idle peers, resident", unit: "MB", from: memory, target: &target{absolute: true, limit: 40}},

	{id: "tcp4-cpu", title: "CPU, four streams", unit: "s/GB", from: fourStreams, figure: 1, extra: true},
	{id: "tcp-reverse-cpu", title: "CPU, the other way", unit: "s/GB", from: otherWay, figure: 1, extra: true},
	{id: "share-cpu", title: "CPU beside the relay's", unit: "s/GB", from: oneStream, figure: 1, baseline: relay, extra: true},
	{id: "udp64-cpu", title: "CPU, UDP of 64 bytes", unit: "µs", from: smallUDP, figure: 1, extra: true},
	{id: "tcp-nogso-cpu", title: "CPU without UDP GSO", unit: "s/GB", from: noGSO, figure: 1, extra: true},
	{id: "ping-load-rate", title: "rate beside that ping", unit: "Gbit/s", from: loadPing, figure: 1, extra: true},
	{id: "peers-in-1420-rate", title: "200 peers, 1,420 bytes, in, at most", unit: "1000/s", from: floodIn1420, extra: true},
	{id: "peers-out-1420-rate", title: "200 peers, 1,420 bytes, out, at most", unit: "1000/s", from: floodOut1420, extra: true},
	{id: "peers-in-100-rate", title: "200 peers, 100 bytes, in, at most", unit: "1000/s", from: floodIn100, extra: true},
	{id: "peers-out-100-rate", title: "200 peers, 100 bytes, out, at most", unit: "1000/s", from: floodOut100, extra: true},
	{id: "socks5-cpu", title: "CPU through SOCKS5", unit: "s/GB", from: stackStream, figure: 1, side: oursProxied, baseline: oursDirect, extra: true},
	{id: "late-send-rate", title: "rate of that stack", unit: "Mbit/s", from: lateSend, figure: 2, extra: true},
	{id: "late-receive-rate", title: "rate of that stack", unit: "Mbit/s", from: lateReceive, figure: 2, extra: true},
	{id: "late-send-kernel", title: "rate of the kernel's TCP", unit: "Mbit/s", from: lateSend, figure: 1, extra: true},
	{id: "late-receive-kernel", title: "rate of the kernel's TCP", unit: "Mbit/s", from: lateReceive, figure: 1, extra: true},
	{id: "capture-other", title: "TCP, another peer is captured", unit: "Gbit/s", from: capturedStream, side: oursBeside, baseline: oursUncaptured, percent: true, extra: true},
	{id: "capture-other-cpu", title: "CPU, another peer is captured", unit: "s/GB", from: capturedStream, figure: 1, side: oursBeside, baseline: oursUncaptured, extra: true},
	{id: "capture-this", title: "TCP of a captured peer", unit: "Gbit/s", from: capturedStream, side: oursCaptured, baseline: oursUncaptured, percent: true, extra: true},
	{id: "capture-this-cpu", title: "CPU, that peer", unit: "s/GB", from: capturedStream, figure: 1, side: oursCaptured, baseline: oursUncaptured, extra: true},
	{id: "tcp-tailscale", title: "one TCP stream, beside Tailscale's fork", unit: "Gbit/s", from: oneStream, baseline: fork, extra: true},
	{id: "tcp-tailscale-cpu", title: "CPU of both ends, beside Tailscale's fork", unit: "s/GB", from: oneStream, figure: 1, baseline: fork, extra: true},
	{id: "tcp-nebula", title: "one TCP stream, beside nebula", unit: "Gbit/s", from: oneStream, baseline: nebula, extra: true},
	{id: "tcp-nebula-cpu", title: "CPU of both ends, beside nebula", unit: "s/GB", from: oneStream, figure: 1, baseline: nebula, extra: true},
	{id: "tcp-ipv6", title: "TCP, IPv6 in IPv6, both", unit: "Gbit/s", from: oneStream, side: oursIPv6, baseline: rivalIPv6, extra: true},
})

// complete fills in the sides that are unset.
func complete(list []row) []row {
	for i := range list {
		if list[i].side == unset {
			list[i].side = ours
		}
		if list[i].baseline == unset {
			list[i].baseline = rival
		}
	}
	return list
}

func ids(rows []row) (list []string) {
	for _, r := range rows {
		list = append(list, r.id)
	}
	return list
}
