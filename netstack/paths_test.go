package netstack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"wgd/internal/packet"
)

// smallMTU is the MTU of a link behind the peer, in the paths that have one.
const smallMTU = 1280

// paths are the paths on which the settings of TCP are compared.
var paths = []struct {
	name string
	make func(v *virtualPath, random *rand.Rand)
}{
	{"20ms", func(v *virtualPath, _ *rand.Rand) { v.pass = steady(10 * time.Millisecond) }},
	{"100ms", func(v *virtualPath, _ *rand.Rand) { v.pass = steady(50 * time.Millisecond) }},
	{"loss", func(v *virtualPath, r *rand.Rand) { v.pass = lossy(r, 33*time.Millisecond) }},
	{"loss-20ms", func(v *virtualPath, r *rand.Rand) { v.pass = lossy(r, 10*time.Millisecond) }},
	{"late", func(v *virtualPath, r *rand.Rand) { v.pass = late(r) }},
	{"jitter", func(v *virtualPath, r *rand.Rand) {
		v.pass = func([]byte, bool) (time.Duration, bool) {
			return 33*time.Millisecond + time.Duration(r.Int64N(int64(3*time.Millisecond))), false
		}
	}},
	{"mtu", func(v *virtualPath, _ *rand.Rand) { v.smallLink(true) }},
	{"mtu-later", func(v *virtualPath, _ *rand.Rand) { v.smallLater(500 * time.Millisecond) }},
	{"mtu-silent", func(v *virtualPath, _ *rand.Rand) { v.smallLink(false) }},
}

func steady(delay time.Duration) func([]byte, bool) (time.Duration, bool) {
	return func([]byte, bool) (time.Duration, bool) { return delay, false }
}

// lossy makes a path that loses 1 % of the packets.
func lossy(random *rand.Rand, delay time.Duration) func([]byte, bool) (time.Duration, bool) {
	return func([]byte, bool) (time.Duration, bool) { return delay, random.Float64() < 0.01 }
}

// smallLink makes a path of 66 ms with a link in its middle whose MTU is smallMTU. Its
// routers drop what does not fit, and report it or not.
func (v *virtualPath) smallLink(report bool) {
	const half = 33 * time.Millisecond
	v.pass = func(p []byte, fromA bool) (time.Duration, bool) {
		if len(p) <= smallMTU {
			return half, false
		}
		if report {
			v.send(tooBig(p, smallMTU), !fromA, half)
		}
		return 0, true
	}
}

// smallLater makes a path of 66 ms which gets such a link after a while.
func (v *virtualPath) smallLater(after time.Duration) {
	v.smallLink(true)
	small, began := v.pass, v.clock.Now()
	v.pass = func(p []byte, fromA bool) (time.Duration, bool) {
		if v.clock.Now().Sub(began) < after {
			return 33 * time.Millisecond, false
		}
		return small(p, fromA)
	}
}

// tooBig returns the ICMP error about an IPv4 packet that does not fit, behind its
// virtio header.
func tooBig(p []byte, mtu uint16) []byte {
	const quoted = header.IPv4MinimumSize + 8
	frame := make([]byte, packet.VirtioHeaderSize+header.IPv4MinimumSize+header.ICMPv4MinimumSize+quoted)
	b := frame[packet.VirtioHeaderSize:]
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 9, 9, 9}), DstAddr: header.IPv4(p).SourceAddress()})
	ip.SetChecksum(^ip.CalculateChecksum())
	icmp := header.ICMPv4(b[header.IPv4MinimumSize:])
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(header.ICMPv4FragmentationNeeded)
	icmp.SetMTU(mtu)
	copy(icmp[header.ICMPv4MinimumSize:], p[:quoted])
	icmp.SetChecksum(^checksum.Checksum(icmp, 0))
	return frame
}

// BenchmarkPaths measures, in virtual time, how long transfers take on different paths,
// with and without loss detection by time (RACK): the table in
// docs/decisions/stack-tcp.md.
//
//	go test ./netstack -run '^$' -bench Paths -benchtime 1x
func BenchmarkPaths(b *testing.B) {
	for _, size := range []int{10 << 10, 100 << 10, 4 << 20} {
		for _, p := range paths {
			for _, rack := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/%dKB/rack=%v", p.name, size>>10, rack), func(b *testing.B) {
					for range b.N {
						measurePath(b, p.make, size, rack)
					}
				})
			}
		}
	}
}

// measurePath makes some transfers, each between new stacks, and reports their means.
func measurePath(b *testing.B, prepare func(*virtualPath, *rand.Rand), size int, rack bool) {
	runs := 200
	if size > 1<<20 {
		runs = 20
	}
	var sum time.Duration
	var again, timeouts uint64
	for seed := range runs {
		v := newVirtualPath(b)
		if !rack {
			var none tcpip.TCPRecovery
			if err := v.a.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &none); err != nil {
				b.Fatal(err)
			}
		}
		prepare(v, rand.New(rand.NewPCG(1, uint64(seed))))
		v.narrow()
		took, _ := v.transfer(80, size, time.Minute)
		sum += took
		again += v.a.stack.Stats().TCP.Retransmits.Value()
		timeouts += v.a.stack.Stats().TCP.Timeouts.Value()
		v.a.Close()
		v.b.Close()
	}
	b.ReportMetric(0, "ns/op") // it would be the time of this machine
	b.ReportMetric(sum.Seconds()/float64(runs), "s/transfer")
	b.ReportMetric(float64(again)/float64(runs), "retransmissions")
	b.ReportMetric(float64(timeouts)/float64(runs), "timeouts")
}

// narrow gives the path a rate of 50 Mbit/s in each direction, behind a queue of 100 ms.
func (v *virtualPath) narrow() {
	const perByte, queue = 160 * time.Nanosecond, 100 * time.Millisecond
	pass := v.pass
	free := map[bool]time.Time{} // when the line is free, by direction
	v.pass = func(p []byte, fromA bool) (time.Duration, bool) {
		delay, lost := pass(p, fromA)
		now := v.clock.Now()
		begin := free[fromA]
		if begin.Before(now) {
			begin = now
		}
		if begin.Sub(now) > queue {
			return 0, true
		}
		free[fromA] = begin.Add(time.Duration(len(p)) * perByte)
		return delay + free[fromA].Sub(now), lost
	}
}

// The MTU of a link behind the peer costs the first connection its first packets, and
// no other connection anything: not one of the same stack, nor one to it. It is
// forgotten after a while, because the path may have changed.
func TestPathMTUIsRemembered(t *testing.T) {
	const size, roundTrip = 100 << 10, 66 * time.Millisecond
	v := newVirtualPath(t)
	v.pass = steady(roundTrip / 2)
	clean, _ := v.transfer(80, size, time.Minute)

	v = newVirtualPath(t)
	v.smallLink(true)
	pass, largest := v.pass, 0
	v.pass = func(p []byte, fromA bool) (time.Duration, bool) {
		largest = max(largest, len(p))
		return pass(p, fromA)
	}
	retransmissions := v.a.stack.Stats().TCP.Retransmits
	first, received := v.transfer(80, size, time.Minute)
	// What was lost is sent again in a slow start, as if the connection were new: that
	// takes three round trips more, and here a fourth to learn of it. It took 2.5 s.
	if received != size || retransmissions.Value() == 0 || first > clean+4*roundTrip {
		t.Fatalf("the first connection received %d bytes of %d in %v, with %d retransmissions; want %v at most, and some", received, size, first, retransmissions.Value(), clean+4*roundTrip)
	}
	before := retransmissions.Value()
	largest = 0
	second, received := v.transfer(81, size, time.Minute)
	t.Logf("%v without the small link; %v for the first connection, %v for the second", clean, first, second)
	if again := retransmissions.Value() - before; received != size || again != 0 || largest > smallMTU || second > clean+roundTrip {
		t.Errorf("the second connection took %v, with %d retransmissions and packets of up to %d bytes; want about %v, none, and %d",
			second, again, largest, clean, smallMTU)
	}
	v.a, v.b = v.b, v.a // from the other end, which knows nothing
	v.pass = func(p []byte, fromA bool) (time.Duration, bool) {
		largest = max(largest, len(p))
		return pass(p, fromA)
	}
	if took, received := v.transferTo([4]byte{10, 2, 0, 1}, 82, size, time.Minute); received != size || largest > smallMTU || took > clean+roundTrip {
		t.Errorf("a connection from the other end took %v, with packets of up to %d bytes", took, largest)
	}
	v.a, v.b = v.b, v.a

	v.clock.Advance(pathMTULife)
	if mtu := v.a.paths.to(tcpip.AddrFrom4([4]byte{10, 2, 0, 42})); mtu != 0 || v.a.paths.count.Load() != 0 {
		t.Errorf("after %v the MTU is still known: %d", pathMTULife, mtu)
	}
}

// Only a plausible report about a connection of this stack is believed, and the number
// of destinations is limited.
func TestReportsOfPathMTUs(t *testing.T) {
	clock := tcpip.NewStdClock()
	var reported []seqnum.Value
	m := &pathMTUs{clock: clock, connected: func(f flow) bool { return f.id.LocalPort == 2 && f.id.RemotePort == 1 },
		tooBig: func(_ flow, seq seqnum.Value) { reported = append(reported, seq) }}
	sent := func(v6 bool) []byte { // as if received: the other way round
		p := segmentOf(v6, nil)
		_, segment := parseTCP(p)
		segment.SetSourcePort(2)
		segment.SetDestinationPort(1)
		segment.SetSequenceNumber(7)
		return p
	}
	report4 := func(mtu uint16) []byte { return tooBig(sent(false), mtu)[packet.VirtioHeaderSize:] }
	report6 := func(mtu uint32) []byte { return tooBig6(sent(true), mtu) }
	to4, to6 := tcpip.AddrFrom4([4]byte{10, 2}), tcpip.AddrFrom16([16]byte{0xfd, 2})
	udp := report4(1300)
	header.IPv4(udp[28:]).SetDestinationAddress(to4)
	udp[28+9] = 17
	other := report4(1300)
	other[28+20+1] = 3 // the source port
	for name, p := range map[string][]byte{
		"too small": report4(minPathMTU4 - 1), "none": report4(0), "too small, IPv6": report6(minPathMTU6 - 1), "too large, IPv6": report6(1 << 20),
		"UDP": udp, "no such connection": other, "short": report4(1300)[:55], "short, IPv6": report6(1300)[:95], "nothing": nil,
		"a segment": segmentOf(false, nil), "a segment, IPv6": segmentOf(true, nil),
	} {
		if m.learn(p); m.count.Load() != 0 {
			t.Fatalf("%s: believed", name)
		}
	}
	if len(reported) > 0 {
		t.Errorf("connections were told of wrong reports: %d", reported)
	}
	m.learn(report4(1300))
	m.learn(report4(1400)) // left before the smaller one was known
	m.learn(report6(1350))
	if !slices.Equal(reported, []seqnum.Value{7, 7, 7}) {
		t.Errorf("the connections were told of segments at %d, want 7 three times", reported)
	}
	if got4, got6 := m.to(to4), m.to(to6); got4 != 1300 || got6 != 1350 || m.count.Load() != 2 {
		t.Errorf("the MTUs are %d and %d, want 1300 and 1350", got4, got6)
	}
	for i := range 2 * maxPathMTUs {
		p := sent(false)
		header.IPv4(p).SetDestinationAddress(tcpip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}))
		m.learn(tooBig(p, 1300)[packet.VirtioHeaderSize:])
	}
	if len(m.of) != maxPathMTUs {
		t.Errorf("%d destinations are remembered, want %d", len(m.of), maxPathMTUs)
	}
}

// tooBig6 returns the ICMP error about an IPv6 packet that does not fit.
func tooBig6(p []byte, mtu uint32) []byte {
	const quoted = header.IPv6MinimumSize + 8
	b := make([]byte, header.IPv6MinimumSize+header.ICMPv6PacketTooBigMinimumSize+quoted)
	header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(len(b) - header.IPv6MinimumSize), TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit: 64, SrcAddr: tcpip.AddrFrom16([16]byte{0xfd, 9}), DstAddr: header.IPv6(p).SourceAddress()})
	icmp := header.ICMPv6(b[header.IPv6MinimumSize:])
	icmp.SetType(header.ICMPv6PacketTooBig)
	icmp.SetMTU(mtu)
	copy(icmp[header.ICMPv6PacketTooBigMinimumSize:], p[:quoted])
	return b
}
