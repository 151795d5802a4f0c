package netstack

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// When a path of 20 ms carries nothing for 300 ms, a stream continues after a few
// timeouts. One whose stack sees the echoed timestamps needs tens of them. If that one
// recovers as fast, the stack has learned it, and timeouts is not needed any more.
func TestStreamContinuesAfterAnOutage(t *testing.T) {
	const amount, outage = 24 << 20, 300 * time.Millisecond
	for _, begin := range []time.Duration{180 * time.Millisecond, 200 * time.Millisecond} {
		var expired [2]uint64
		for shown := range 2 {
			v := newVirtualPath(t)
			zero := v.clock.Now()
			v.pass = func([]byte, bool) (time.Duration, bool) {
				at := v.clock.Now().Sub(zero)
				return 10 * time.Millisecond, at >= begin && at < begin+outage
			}
			if shown == 1 {
				v.a.timeouts.expired = &tcpip.StatCounter{}
			}
			took, received := v.transfer(80, amount, time.Minute)
			expired[shown] = v.a.stack.Stats().TCP.Timeouts.Value()
			t.Logf("outage at %v, the stack sees all echoes: %v: %d bytes in %v, %d timeouts", begin, shown == 1, received, took, expired[shown])
			if received != amount {
				t.Errorf("outage at %v: %d bytes of %d", begin, received, amount)
			}
		}
		if expired[0] > 4 || expired[1] < 5*expired[0] {
			t.Errorf("outage at %v: %d timeouts, and %d if the stack sees all echoes: want 4 at most, and 5 times as many", begin, expired[0], expired[1])
		}
	}
}

// newTimeouts returns timeouts of which the test counts those that expired, and says
// which flows recover.
func newTimeouts(recovers map[flow]time.Duration) (*timeouts, *faketime.ManualClock) {
	clock := faketime.NewManualClock()
	return &timeouts{flows: flows[*timeout]{clock: clock}, expired: new(tcpip.StatCounter), recovery: func(f flow) (time.Duration, bool) {
		rtt, ok := recovers[f]
		return rtt, ok
	}}, clock
}

// dataOf returns a packet with data of the flow to the given port, as the stack sends
// it.
func dataOf(port uint16, data string) *stack.PacketBuffer {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 60, Payload: buffer.MakeWithData([]byte(data))})
	tcp := header.TCP(p.TransportHeader().Push(header.TCPMinimumSize))
	tcp.Encode(&header.TCPFields{SrcPort: 2, DstPort: port, DataOffset: header.TCPMinimumSize})
	ip := header.IPv4(p.NetworkHeader().Push(header.IPv4MinimumSize))
	ip.Encode(&header.IPv4Fields{TotalLength: 40, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 2}), DstAddr: tcpip.AddrFrom4([4]byte{10, 1})})
	p.NetworkProtocolNumber, p.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	return p
}

// Those that send data after a timer expired are suspects, until 2 ms later. Others, and
// those that only acknowledge, are not.
func TestSuspects(t *testing.T) {
	u, clock := newTimeouts(nil)
	send := func(port uint16, data string) { u.sent([]*stack.PacketBuffer{dataOf(port, data)}) }
	send(1, "before")
	u.expired.Increment()
	send(2, "")
	send(3, "at once")
	clock.Advance(watchTime - 1)
	send(4, "soon")
	send(4, "soon, again")
	clock.Advance(1)
	send(5, "too late")
	if u.watching.Load() {
		t.Error("suspects are looked for without an end")
	}
	var ports []uint16
	for f := range u.of {
		ports = append(ports, f.id.RemotePort)
	}
	if len(ports) != 2 || ports[0]+ports[1] != 3+4 || u.count.Load() != 2 {
		t.Errorf("suspects: %v, counted %d; want 3 and 4", ports, u.count.Load())
	}
	for port := range uint16(maxFlows + 10) {
		u.expired.Increment()
		send(1000+port, "many")
	}
	if len(u.of) > maxFlows || len(u.of) != int(u.count.Load()) {
		t.Errorf("%d are followed, counted %d; want at most %d", len(u.of), u.count.Load(), maxFlows)
	}
}

// The echoed timestamps of a connection that recovers are reduced by the round trip that
// it had at first, and not after it has recovered. Those of others are left alone. The
// checksum stays correct, at even and odd positions, and so does everything else.
func TestEchoes(t *testing.T) {
	const ms = time.Millisecond
	timestamps := []byte{1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 1, 0}
	for name, c := range map[string]struct {
		options []byte
		rtt     time.Duration // 0: it does not recover
		want    uint32
	}{
		"recovers":      {timestamps, 20 * ms, 256 - 20 - 2},
		"a long trip":   {timestamps, time.Minute, 256 - 200 - 2},
		"wraps":         {[]byte{1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 3}, 20 * ms, 1<<32 + 3 - 22},
		"not to 0":      {[]byte{1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 22}, 20 * ms, 1<<32 - 1},
		"no echo":       {[]byte{1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0}, 20 * ms, 0},
		"no timestamps": {nil, 20 * ms, 0},
		"recovered":     {timestamps, 0, 256},
	} {
		for _, v6 := range []bool{false, true} {
			p := segmentOf(v6, c.options)
			f, segment := parseTCP(p)
			recovers := map[flow]time.Duration{}
			if c.rtt > 0 {
				recovers[f] = c.rtt
			}
			u, _ := newTimeouts(recovers)
			u.suspect(f, time.Time{})
			u.suspect(numbered(7), time.Time{})
			u.filter(f, segment)
			if got := segment.ParsedOptions().TSEcr; got != c.want {
				t.Errorf("%s: the echo is %d, want %d", name, got, c.want)
			}
			if payload := segment.Payload(); !segment.IsChecksumValid(f.id.RemoteAddress, f.id.LocalAddress, checksum.Checksum(payload, 0), uint16(len(payload))) {
				t.Errorf("%s: the checksum is wrong", name)
			}
			if _, follows := u.of[f]; follows != (c.rtt > 0) || len(u.of) != int(u.count.Load()) {
				t.Errorf("%s: followed: %v, counted %d of %d", name, follows, u.count.Load(), len(u.of))
			}
			if c.rtt > 0 && c.want == 256-22 { // what is subtracted stays the same
				recovers[f] = 2 * c.rtt
				_, again := parseTCP(segmentOf(v6, c.options))
				if u.filter(f, again); again.ParsedOptions().TSEcr != c.want {
					t.Errorf("%s: then the echo is %d, want %d", name, again.ParsedOptions().TSEcr, c.want)
				}
			}
		}
	}
}

// After a report that segments were too big, echoed timestamps are reduced until more than
// these is acknowledged, or for a while if the report is wrong about them.
func TestEchoesAfterReports(t *testing.T) {
	timestamps := []byte{1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 1, 0}
	u, clock := newTimeouts(nil)
	reduced := func(ack uint32) bool {
		f, segment := parseTCP(segmentOf(false, timestamps))
		segment.SetAckNumber(ack)
		u.filter(f, segment)
		if _, follows := u.of[f]; follows != (segment.ParsedOptions().TSEcr < 256) {
			t.Errorf("acknowledgement %d: followed: %v, echo %d", ack, follows, segment.ParsedOptions().TSEcr)
		}
		return segment.ParsedOptions().TSEcr < 256
	}
	f, _ := parseTCP(segmentOf(false, nil))
	for _, seq := range []seqnum.Value{1000, 2000, 1500} {
		u.tooBig(f, seq)
	}
	for _, c := range []struct {
		ack  uint32
		want bool
	}{{1000, true}, {2000, true}, {2001, false}, {2000, false}} {
		if got := reduced(c.ack); got != c.want {
			t.Errorf("acknowledgement %d: reduced: %v, want %v", c.ack, got, c.want)
		}
	}
	u.tooBig(f, 1<<30)
	clock.Advance(staleFlow - 1)
	if !reduced(1) {
		t.Errorf("it is not reduced before %v", staleFlow)
	}
	clock.Advance(1)
	if reduced(1) {
		t.Errorf("it is still reduced after %v", staleFlow)
	}
}

// A report does not end the recovery from a timeout.
func TestReportDuringTimeout(t *testing.T) {
	f, segment := parseTCP(segmentOf(false, nil))
	u, _ := newTimeouts(map[flow]time.Duration{f: time.Millisecond})
	u.tooBig(f, 1000)
	segment.SetAckNumber(2000)
	u.filter(f, segment)
	if u.of[f] == nil {
		t.Error("the connection is not followed any more")
	}
}

// A connection that receives nothing after its timeout, because it has ended, has no
// state some seconds later. Nothing is followed after the end of the stack.
func TestTimeoutsOfConnectionsThatEnded(t *testing.T) {
	recovering, segment := parseTCP(segmentOf(false, nil))
	u, clock := newTimeouts(map[flow]time.Duration{recovering: time.Millisecond, numbered(1): time.Millisecond})
	u.suspect(recovering, clock.Now())
	u.suspect(numbered(1), clock.Now())
	clock.Advance(staleFlow - time.Second)
	u.filter(recovering, segment)
	clock.Advance(time.Second)
	if u.of[recovering] == nil || u.count.Load() != 1 {
		t.Errorf("%d flows are followed, want the one that received something", u.count.Load())
	}
	clock.Advance(2 * staleFlow)
	if u.count.Load() != 0 || u.timer != nil {
		t.Errorf("%d flows are followed, want none, and no timer", u.count.Load())
	}
	u.suspect(recovering, clock.Now())
	u.close()
	if u.suspect(numbered(1), clock.Now()); u.count.Load() != 0 || u.timer.Stop() {
		t.Error("after the end of the stack a flow is followed, or the timer runs")
	}
}
