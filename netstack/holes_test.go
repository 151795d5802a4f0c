package netstack

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// testPatience is the patience of every hole in these tests.
const testPatience = 16 * time.Millisecond

func newHoles() *holes {
	return &holes{flows: flows[*hole]{clock: tcpip.NewStdClock()}, patience: func(flow) time.Duration { return testPatience }}
}

// numbered returns a flow of this number.
func numbered(n uint16) flow {
	return flow{id: stack.TransportEndpointID{RemotePort: n}}
}

// SACKs of a young hole are hidden. Those of an old one are shown, until all that
// was in flight when it became old is acknowledged. They are hidden again for the
// next hole. Sequence numbers may wrap.
func TestHoles(t *testing.T) {
	type step struct {
		at       time.Duration
		ack, end uint32 // end is 0 if no hole is reported
		hidden   bool
	}
	const ms = time.Millisecond
	for name, steps := range map[string][]step{
		"late":           {{0, 100, 0, false}, {1 * ms, 100, 300, true}, {5 * ms, 100, 500, true}, {6 * ms, 500, 0, false}, {40 * ms, 500, 700, true}},
		"always a hole":  {{0, 100, 300, true}, {8 * ms, 200, 400, true}, {16 * ms, 300, 500, true}, {24 * ms, 400, 600, true}},
		"lost":           {{0, 100, 300, true}, {8 * ms, 100, 400, true}, {15 * ms, 100, 500, true}, {16 * ms, 100, 600, false}, {17 * ms, 200, 600, false}, {90 * ms, 600, 0, false}, {91 * ms, 600, 800, true}},
		"lost, few sent": {{0, 100, 300, true}, {64 * ms, 100, 300, false}},
		"lost and late":  {{0, 100, 300, true}, {64 * ms, 100, 600, false}, {70 * ms, 600, 900, true}, {75 * ms, 900, 0, false}},
		"lost twice":     {{0, 100, 300, true}, {64 * ms, 100, 600, false}, {70 * ms, 600, 900, true}, {78 * ms, 600, 900, true}, {86 * ms, 600, 900, false}},
		"paused":         {{0, 100, 300, true}, {5 * ms, 100, 400, true}, {55 * ms, 100, 500, true}, {56 * ms, 500, 0, false}},
		"overtaken":      {{0, 100, 300, true}, {1 * ms, 90, 95, true}, {2 * ms, 90, 0, false}, {8 * ms, 100, 300, true}, {16 * ms, 100, 300, false}, {17 * ms, 90, 95, false}},
		"repeated":       {{0, 100, 300, true}, {8 * ms, 100, 0, false}, {16 * ms, 100, 300, false}},
		"wrapping":       {{0, 0xffffff00, 0x10, true}, {8 * ms, 0xfffffff0, 0x20, true}, {16 * ms, 0xfffffff0, 0x20, true}, {24 * ms, 0xfffffff0, 0x20, false}, {30 * ms, 0x10, 0x20, false}, {31 * ms, 0x20, 0x40, true}},
	} {
		h, zero := newHoles(), time.Now()
		for i, s := range steps {
			got := h.hides(numbered(1), seqnum.Value(s.ack), seqnum.Value(s.end), s.end != 0, zero.Add(s.at))
			if got != s.hidden {
				t.Errorf("%s, step %d: hidden: %v, want %v", name, i, got, s.hidden)
			}
		}
	}
}

// Flows do not affect each other. One that is no connection is not followed. The
// number of flows is limited.
func TestHolesOfManyFlows(t *testing.T) {
	h, now := newHoles(), time.Now()
	defer h.close()
	for n := range uint16(maxFlows) {
		if !h.hides(numbered(n), 100, 300, true, now) {
			t.Fatalf("flow %d: the hole is not hidden", n)
		}
	}
	if h.hides(numbered(maxFlows), 100, 300, true, now) || len(h.of) > maxFlows {
		t.Errorf("%d flows are followed, want at most %d", len(h.of), maxFlows)
	}
	if h.hides(numbered(0), 300, 0, false, now) || int(h.count.Load()) != maxFlows-1 {
		t.Errorf("%d flows have holes after one was filled, want %d", h.count.Load(), maxFlows-1)
	}
	if !h.hides(numbered(maxFlows), 100, 300, true, now) {
		t.Error("no flow can be followed, although there is room")
	}
	h.patience = func(flow) time.Duration { return 0 }
	h.forget(numbered(0))
	if h.hides(numbered(7777), 100, 300, true, now) {
		t.Error("the hole of a flow that is no connection is hidden")
	}
}

// A connection that ended has no state any more: at once after a reset, and some
// seconds after a timeout. Nothing is followed after the end of the stack.
func TestHolesOfConnectionsThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHoles()
		follows := func(f flow) bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.of[f] != nil
		}
		for n := range uint16(3) {
			h.hides(numbered(n), 100, 300, true, time.Now())
		}
		p := segmentOf(false, nil)
		f, reset := parseTCP(p)
		h.hides(f, 100, 300, true, time.Now())
		reset.SetFlags(uint8(header.TCPFlagRst))
		h.filter(f, reset)
		if follows(f) || h.count.Load() != 3 {
			t.Errorf("after a reset, %d flows are followed, want 3 others", h.count.Load())
		}
		time.Sleep(staleFlow - time.Second)
		h.hides(numbered(1), 100, 300, true, time.Now())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !follows(numbered(1)) || h.count.Load() != 1 {
			t.Errorf("%d flows are followed, want the one that received something", h.count.Load())
		}
		time.Sleep(2 * staleFlow)
		synctest.Wait()
		if follows(numbered(1)) || h.count.Load() != 0 {
			t.Errorf("%d flows are followed after a timeout, want none", h.count.Load())
		}
		h.hides(numbered(4), 100, 300, true, time.Now())
		h.close()
		if h.hides(numbered(5), 100, 300, true, time.Now()) || follows(numbered(4)) || h.timer.Stop() {
			t.Error("after the end of the stack a flow is followed, or the timer runs")
		}
	})
}

// A connection that was just established has a patience, which the handshake has
// measured. What is no connection has none.
func TestPatience(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	listen(t, b)
	conn := dial(t, a)
	at := conn.LocalAddr().(*net.TCPAddr)
	f := flow{header.IPv4ProtocolNumber, stack.TransportEndpointID{
		LocalPort: uint16(at.Port), LocalAddress: tcpip.AddrFrom4([4]byte{10, 2, 0, 1}),
		RemotePort: 80, RemoteAddress: tcpip.AddrFrom4([4]byte{10, 2, 0, 42})}}
	if got := a.patience(f); got < minPatience || got > maxPatience {
		t.Errorf("the patience of a new connection is %v, want %v to %v", got, minPatience, maxPatience)
	}
	f.id.RemotePort = 81
	if got := a.patience(f); got != 0 {
		t.Errorf("the patience of a connection that does not exist is %v, want 0", got)
	}
}

// The option that is erased is replaced by padding, at even and odd positions, and
// the checksum stays correct. Other options stay. A SACK that reports only a
// duplicate is shown.
func TestFilter(t *testing.T) {
	timestamps := []byte{1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8}
	sack := []byte{5, 10, 0, 0, 1, 0, 0, 0, 2, 0}
	duplicate := []byte{5, 10, 0, 0, 0, 10, 0, 0, 0, 20}
	for _, c := range []struct {
		options []byte
		erased  bool
	}{
		{append([]byte{1, 1}, sack...), true}, {append([]byte{1}, append(sack, 0)...), true}, {append(sack, 0, 0), true},
		{append(timestamps, append([]byte{1, 1}, sack...)...), true}, {append(timestamps[1:], append(sack, 1, 1, 0)...), true},
		{append(sack, append([]byte{1}, sack...)...), true}, {append(duplicate, append([]byte{1, 1}, sack...)...), true},
		{append([]byte{1, 1}, duplicate...), false}, {timestamps, false}, {nil, false},
		{[]byte{5, 10, 0, 0}, false}, {[]byte{5, 1, 0, 0}, false}, {[]byte{1, 1, 1, 5}, false},
	} {
		for _, v6 := range []bool{false, true} {
			p := segmentOf(v6, c.options)
			before := append([]byte(nil), p...)
			f, segment := parseTCP(p)
			if segment == nil {
				t.Fatalf("options %v: no segment", c.options)
			}
			newHoles().filter(f, segment)
			if got := segment.ParsedOptions().SACKBlocks == nil && mustParse(before).ParsedOptions().SACKBlocks != nil; got != c.erased {
				t.Errorf("options %v, IPv6 %v: erased: %v, want %v", c.options, v6, got, c.erased)
			}
			if !c.erased && string(p) != string(before) {
				t.Errorf("options %v: a segment that shows no hole was changed", c.options)
			}
			source, destination := f.id.RemoteAddress, f.id.LocalAddress
			payload := segment.Payload()
			if !segment.IsChecksumValid(source, destination, checksum.Checksum(payload, 0), uint16(len(payload))) {
				t.Errorf("options %v, IPv6 %v: the checksum is wrong", c.options, v6)
			}
			if len(c.options) > len(timestamps) && segment.ParsedOptions().TSEcr != mustParse(before).ParsedOptions().TSEcr {
				t.Errorf("options %v: the timestamps are lost", c.options)
			}
		}
	}
}

// What is no whole TCP segment is not looked at.
func TestParseTCPRefuses(t *testing.T) {
	whole4, whole6 := segmentOf(false, nil), segmentOf(true, nil)
	fragment := append([]byte(nil), whole4...)
	fragment[6] = 0x20 // more fragments
	udp := append([]byte(nil), whole6...)
	udp[6] = 17
	offset := append([]byte(nil), whole4...)
	offset[header.IPv4MinimumSize+12] = 0xf0
	for _, p := range [][]byte{nil, {0x45}, whole4[:30], whole6[:50], fragment, udp, offset} {
		if _, segment := parseTCP(p); segment != nil {
			t.Errorf("% x: taken for a segment", p)
		}
	}
}

func mustParse(p []byte) header.TCP {
	_, segment := parseTCP(p)
	return segment
}

// segmentOf returns a packet with a segment that acknowledges 100 and has these
// options, padded.
func segmentOf(v6 bool, options []byte) []byte {
	for len(options)%4 != 0 {
		options = append(options[:len(options):len(options)], 0)
	}
	at, from, to := header.IPv4MinimumSize, tcpip.AddrFrom4([4]byte{10, 1}), tcpip.AddrFrom4([4]byte{10, 2})
	if v6 {
		at, from, to = header.IPv6MinimumSize, tcpip.AddrFrom16([16]byte{0xfd, 1}), tcpip.AddrFrom16([16]byte{0xfd, 2})
	}
	payload := "odd"
	p := make([]byte, at+header.TCPMinimumSize+len(options)+len(payload))
	length := uint16(len(p) - at)
	if v6 {
		header.IPv6(p).Encode(&header.IPv6Fields{PayloadLength: length, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: from, DstAddr: to})
	} else {
		header.IPv4(p).Encode(&header.IPv4Fields{TotalLength: uint16(len(p)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: from, DstAddr: to})
	}
	tcp := header.TCP(p[at:])
	tcp.Encode(&header.TCPFields{SrcPort: 1, DstPort: 2, AckNum: 100, DataOffset: uint8(header.TCPMinimumSize + len(options)), Flags: header.TCPFlagAck, WindowSize: 100})
	copy(p[at+header.TCPMinimumSize:], options)
	copy(p[len(p)-len(payload):], payload)
	tcp.SetChecksum(^checksum.Checksum(tcp, header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, to, length)))
	return p
}
