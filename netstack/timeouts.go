package netstack

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// When a retransmission timer has expired, all that was in flight may be lost. A
// sender then begins again with one segment, and doubles their number with each
// round trip. The stack does not: the acknowledgement of what it sent again tells
// RACK that all segments before it are lost, so it changes to a recovery that counts
// them as in flight all the same. It sends nothing until the timer expires again,
// which is two segments in 200 ms.
//
// The same happens when a router reports that segments were too big: the stack sends
// them again, smaller, and RACK takes the first acknowledgement for a sign that the
// others are lost.
//
// timeouts follows these connections, and subtracts from the echoed timestamp in what
// they receive. Then RACK takes the acknowledgement for one of the first transmission,
// and ignores it, as RFC 8985 (section 6.2, step 2) says. See
// docs/decisions/timeouts.md.
type timeouts struct {
	flows[*timeout]
	expired  *tcpip.StatCounter                      // how many timers expired so far
	recovery func(flow) (rtt time.Duration, ok bool) // ok: the connection recovers from that

	seen     atomic.Uint64 // the value of expired when it was last looked at
	watching atomic.Bool   // suspects are looked for
	until    time.Time     // watching ends; mu protects it
}

// A timeout is that of a connection which may recover from it.
type timeout struct {
	subtracted uint32       // how many ms; 0: it is a suspect
	seen       time.Time    // when it was suspected, or received something
	tooBig     time.Time    // when segments were reported to be too big: it recovers
	until      seqnum.Value // until more than this is acknowledged
}

func (o *timeout) lastSeen() time.Time { return o.seen }

const (
	// watchTime is for how long after a timer expired every connection that sends
	// data is suspected to be the one. What it sends again follows at once, except if
	// this process is busy. If it is missed then, its timer expires again.
	watchTime = 2 * time.Millisecond
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
			t.suspect(f, now)
		}
	}
}

// suspect adds a connection. The caller holds mu.
func (t *timeouts) suspect(f flow, now time.Time) {
	if _, ok := t.of[f]; ok {
		return
	}
	if t.full() {
		clear(t.of) // those that still recover expire again
	}
	t.follow(f, &timeout{seen: now})
}

// tooBig adds a connection, or says about one, that a segment of it was too big, which
// began at seq.
func (t *timeouts) tooBig(f flow, seq seqnum.Value) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	t.suspect(f, now)
	if o := t.of[f]; o != nil { // not while it is closed
		o.seen = now
		if o.tooBig.IsZero() || o.until.LessThan(seq) {
			o.until = seq
		}
		o.tooBig = now
	}
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
	now := t.clock.Now()
	t.mu.Lock()
	o := t.of[f]
	t.mu.Unlock()
	if o == nil {
		return
	}
	rtt, recovers := t.recovery(f) // takes locks of the stack
	t.mu.Lock()
	defer t.mu.Unlock()
	if !o.tooBig.IsZero() { // the report may be wrong about where the segment began
		recovers = recovers || seqnum.Value(segment.AckNumber()).LessThanEq(o.until) && now.Sub(o.tooBig) < staleFlow
	}
	if !recovers {
		t.forget(f)
		return
	}
	o.seen = now
	if o.subtracted == 0 {
		// What one acknowledgement acknowledges was sent within a round trip.
		o.subtracted = uint32(min(rtt, maxSubtracted)/time.Millisecond) + 2
	}
	subtractEcho(segment, o.subtracted)
}

// subtractEcho subtracts from the echoed timestamp of a segment, if it has one.
func subtractEcho(segment header.TCP, ms uint32) {
	const echoAt = 6 // after kind, length and timestamp
	for option := range optionsOf(segment, header.TCPOptionTS) {
		if len(option) != header.TCPOptionTSLength || binary.BigEndian.Uint32(option[echoAt:]) == 0 {
			continue
		}
		edit(segment, option[echoAt:], func(echo []byte) {
			n := binary.BigEndian.Uint32(echo) - ms // it may wrap
			if n == 0 {                             // which would mean that there is no echo
				n--
			}
			binary.BigEndian.PutUint32(echo, n)
		})
	}
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
