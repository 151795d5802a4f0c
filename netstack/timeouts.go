package netstack

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// When a retransmission timer has expired, all that was in flight may be lost. A
// sender then begins again with one segment, and doubles their number with each
// round trip. The stack does not: the acknowledgement of what it sent again tells
// RACK that all segments before it are lost, so it changes to a recovery that counts
// them as in flight all the same. It sends nothing until the timer expires again,
// which is two segments in 200 ms.
//
// timeouts follows the connections whose timer expired, and subtracts from the echoed
// timestamp in what they receive. Then RACK takes the acknowledgement for one of the
// first transmission, and ignores it, as RFC 8985 (section 6.2, step 2) says. See
// docs/decisions/timeouts.md.
type timeouts struct {
	clock    tcpip.Clock
	expired  *tcpip.StatCounter                      // how many timers expired so far
	recovery func(flow) (rtt time.Duration, ok bool) // ok: the connection recovers from that

	seen     atomic.Uint64 // the value of expired when it was last looked at
	watching atomic.Bool   // suspects are looked for
	count    atomic.Int32  // len(of); it is read without mu

	mu    sync.Mutex
	until time.Time       // watching ends
	of    map[flow]uint32 // how many ms are subtracted; 0: it is a suspect
}

const (
	// watchTime is for how long after a timer expired every connection that sends
	// data is suspected to be the one. What it sends again follows at once, except if
	// this process is busy. If it is missed then, its timer expires again.
	watchTime = 2 * time.Millisecond
	// maxTimeouts is how many connections are followed.
	maxTimeouts = 4096
	// maxSubtracted limits what is subtracted, because it also makes the round trip
	// seem longer until the connection has recovered.
	maxSubtracted = 200 * time.Millisecond
)

// sent looks at what the stack sends. It is called by the goroutine that sends it.
func (t *timeouts) sent(list []*stack.PacketBuffer) {
	n := t.expired.Value()
	if n == t.seen.Load() && !t.watching.Load() {
		return
	}
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen.Swap(n) != n {
		t.until = now.Add(watchTime)
	}
	watching := now.Before(t.until)
	t.watching.Store(watching)
	if !watching {
		return
	}
	for _, p := range list {
		if f, ok := flowOf(p); ok {
			t.suspect(f)
		}
	}
}

// suspect adds a connection. The caller holds mu.
func (t *timeouts) suspect(f flow) {
	if _, ok := t.of[f]; ok {
		return
	}
	if t.of == nil || len(t.of) >= maxTimeouts { // those that still recover expire again
		t.of = map[flow]uint32{}
	}
	t.of[f] = 0
	t.count.Store(int32(len(t.of)))
}

// flowOf returns the connection of a packet from the stack that has data of TCP.
func flowOf(p *stack.PacketBuffer) (f flow, ok bool) {
	tcp := header.TCP(p.TransportHeader().Slice())
	if p.TransportProtocolNumber != header.TCPProtocolNumber || len(tcp) < header.TCPMinimumSize || p.Data().Size() == 0 {
		return f, false
	}
	ip := p.Network()
	return flow{p.NetworkProtocolNumber, stack.TransportEndpointID{
		LocalAddress: ip.SourceAddress(), LocalPort: tcp.SourcePort(),
		RemoteAddress: ip.DestinationAddress(), RemotePort: tcp.DestinationPort(),
	}}, true
}

// filter changes the echoed timestamp in a TCP segment of a flow while the
// connection recovers from a timeout. It keeps the checksum correct.
func (t *timeouts) filter(f flow, segment header.TCP) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	ms, ok := t.of[f]
	t.mu.Unlock()
	if !ok {
		return
	}
	rtt, recovers := t.recovery(f) // takes locks of the stack
	t.mu.Lock()
	if !recovers {
		delete(t.of, f)
		t.count.Store(int32(len(t.of)))
	} else if ms == 0 {
		// What one acknowledgement acknowledges was sent within a round trip.
		ms = uint32(min(rtt, maxSubtracted)/time.Millisecond) + 2
		t.of[f] = ms
	}
	t.mu.Unlock()
	if recovers {
		subtractEcho(segment, ms)
	}
}

// subtractEcho subtracts from the echoed timestamp of a segment, if it has one.
func subtractEcho(segment header.TCP, ms uint32) {
	const echoAt = 6 // after kind, length and timestamp
	option := optionOf(segment, header.TCPOptionTS)
	if len(option) != header.TCPOptionTSLength || binary.BigEndian.Uint32(option[echoAt:]) == 0 {
		return
	}
	edit(segment, option[echoAt:], func(echo []byte) {
		n := binary.BigEndian.Uint32(echo) - ms // it may wrap
		if n == 0 {                             // which would mean that there is no echo
			n--
		}
		binary.BigEndian.PutUint32(echo, n)
	})
}

// timeoutRecovery reports whether a connection recovers from a timeout, and its round
// trip. Selective acknowledgements meanwhile change the state to Disorder.
func (s *Stack) timeoutRecovery(f flow) (rtt time.Duration, ok bool) {
	info, ok := s.tcpInfo(f)
	return info.RTT, ok && (info.CcState == tcpip.RTORecovery || info.CcState == tcpip.Disorder)
}

// tcpInfo returns the state of a connection, if there is one.
func (s *Stack) tcpInfo(f flow) (info tcpip.TCPInfoOption, ok bool) {
	connection, ok := s.stack.FindTransportEndpoint(f.network, header.TCPProtocolNumber, f.id, nic).(tcpip.Endpoint)
	return info, ok && connection.GetSockOpt(&info) == nil
}
