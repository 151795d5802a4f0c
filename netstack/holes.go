package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A receiver of TCP reports a hole in what it received by selective
// acknowledgements (SACK). Until the hole is old enough to be a loss, and not a
// packet that is late, the stack must not see them. It would retransmit too
// early and halve its congestion window, which it never undoes; and whatever it
// is told to be received before it begins to recover, it counts as in flight
// until nothing is in flight, so its window shrinks with each late packet.
//
// holes follows the connections that have holes, and overwrites the SACK options
// in what they receive as long as the hole is young. The acknowledgement itself
// is delivered at once. RFC 8985 waits in the same way and for the same time. See
// docs/decisions/late-packets.md.
type holes struct {
	flows[*hole]
	patience func(flow) time.Duration // for a new hole; 0 hides nothing
}

// A hole begins where everything is acknowledged.
type hole struct {
	begin    seqnum.Value
	age      time.Duration // since the acknowledgements reached begin; see grow
	seen     time.Time     // the last acknowledgement
	patience time.Duration
	// The stack recovers from losses until this is acknowledged. It sees SACKs.
	recovering bool
	until      seqnum.Value
}

const (
	// The patience is a fraction of the round trip, as in RFC 8985, between
	// limits.
	patienceShare = 4
	minPatience   = time.Millisecond
	maxPatience   = 50 * time.Millisecond
)

func (o *hole) lastSeen() time.Time { return o.seen }

// filter hides the SACK options in a TCP segment of a flow, if it reports a young
// hole. It keeps the checksum correct.
func (h *holes) filter(f flow, segment header.TCP) {
	ack := seqnum.Value(segment.AckNumber())
	end, reported := highest(segment, ack)
	if !reported && h.count.Load() == 0 {
		return
	}
	if segment.Flags().Contains(header.TCPFlagRst) {
		h.mu.Lock()
		h.forget(f)
		h.mu.Unlock()
		return
	}
	if h.hides(f, ack, end, reported, h.clock.Now()) {
		eraseSACK(segment)
	}
}

// hides reports whether an acknowledgement must not show its SACKs. Up to end
// data was received, if a hole is reported.
func (h *holes) hides(f flow, ack, end seqnum.Value, reported bool, now time.Time) bool {
	h.mu.Lock()
	o := h.of[f]
	if o == nil && reported {
		h.mu.Unlock()
		patience := h.patience(f) // takes locks of the stack
		h.mu.Lock()
		o = h.begin(f, ack, patience, now)
	}
	defer h.mu.Unlock()
	if o == nil {
		return false
	}
	if ack.LessThan(o.begin) { // it was overtaken
		return reported && !o.recovering
	}
	o.grow(now)
	if o.recovering && ack.LessThan(o.until) {
		o.begin, o.age = ack, 0
		return false
	}
	if !reported {
		if o.begin.LessThan(ack) {
			h.forget(f)
		}
		return false
	}
	if o.recovering || o.begin != ack {
		o.begin, o.age, o.recovering = ack, 0, false
	}
	if o.age < o.patience {
		return true
	}
	o.recovering, o.until = true, end
	return false
}

// grow adds the time since the last acknowledgement to the age, but at most half of
// the patience: this process may have been paused meanwhile, and what fills the
// hole waits behind the acknowledgement that it looks at. A whole round trip
// counts: few packets were in flight, and one answered a probe.
func (o *hole) grow(now time.Time) {
	step := now.Sub(o.seen)
	o.seen = now
	if step < patienceShare*o.patience {
		step = min(step, o.patience/2)
	}
	o.age += step
}

// begin begins to follow a connection. It returns nil if it must not: then the
// connection sees all SACKs.
func (h *holes) begin(f flow, ack seqnum.Value, patience time.Duration, now time.Time) *hole {
	if o := h.of[f]; o != nil || patience == 0 || h.full() || h.closed {
		return o
	}
	o := &hole{begin: ack, seen: now, patience: patience}
	h.follow(f, o)
	return o
}

// parseTCP returns the header of a TCP segment, with its options, and the flow
// that it belongs to. It returns no segment if the packet has none that is whole.
// Fragments and extension headers of IPv6 are not looked at: they are rare.
func parseTCP(p []byte) (f flow, segment header.TCP) {
	switch {
	case len(p) >= header.IPv4MinimumSize && p[0]>>4 == 4:
		ip := header.IPv4(p)
		at := int(ip.HeaderLength())
		if ip.TransportProtocol() != header.TCPProtocolNumber || ip.More() || ip.FragmentOffset() != 0 || at > len(p) {
			return f, nil
		}
		f = flow{header.IPv4ProtocolNumber, stack.TransportEndpointID{LocalAddress: ip.DestinationAddress(), RemoteAddress: ip.SourceAddress()}}
		segment = header.TCP(p[at:])
	case len(p) >= header.IPv6MinimumSize && p[0]>>4 == 6:
		ip := header.IPv6(p)
		if ip.NextHeader() != uint8(header.TCPProtocolNumber) {
			return f, nil
		}
		f = flow{header.IPv6ProtocolNumber, stack.TransportEndpointID{LocalAddress: ip.DestinationAddress(), RemoteAddress: ip.SourceAddress()}}
		segment = header.TCP(p[header.IPv6MinimumSize:])
	}
	if len(segment) < header.TCPMinimumSize || int(segment.DataOffset()) > len(segment) || segment.DataOffset() < header.TCPMinimumSize {
		return f, nil
	}
	f.id.LocalPort, f.id.RemotePort = segment.DestinationPort(), segment.SourcePort()
	return f, segment
}

// patience returns how old a hole of a connection must be to be a loss, or 0 if
// there is no connection. The handshake has measured the round trip.
func (s *Stack) patience(f flow) time.Duration {
	info, ok := s.tcpInfo(f)
	if !ok || info.RTT == 0 {
		return 0
	}
	return min(max(info.RTT/patienceShare, minPatience), maxPatience)
}

// connected reports whether there is such a connection. A listener is none.
func (s *Stack) connected(f flow) bool {
	connection, ok := s.stack.FindTransportEndpoint(f.network, header.TCPProtocolNumber, f.id, nic).(tcpip.Endpoint)
	if !ok {
		return false
	}
	info, ok := connection.Info().(*stack.TransportEndpointInfo)
	return ok && info.ID == f.id
}
