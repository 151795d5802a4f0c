package netstack

import (
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wgd/internal/packet"
)

// A router behind the peer may have a link with a smaller MTU than the tunnel. It
// reports that by ICMP. The stack reduces the segments of the connection that was
// affected, but remembers nothing: every new connection would lose its first window.
// pathMTUs remembers the MTU for a destination, and reduces the MSS in the SYNs of
// later connections, in both directions. See docs/decisions/stack-tcp.md.
type pathMTUs struct {
	clock     tcpip.Clock
	connected func(flow) bool          // whether there is such a connection
	tooBig    func(flow, seqnum.Value) // it has lost a segment, which began there
	count     atomic.Int32             // len(of); it is read without mu

	mu sync.Mutex
	of map[tcpip.Address]pathMTU
}

type pathMTU struct {
	mtu     int
	expires time.Time
}

const (
	// pathMTULife is how long an MTU is remembered, as in Linux. The path may
	// have changed, and only a packet that is too big shows its MTU.
	pathMTULife = 10 * time.Minute

	// minPathMTU4 is the least MTU that a report about IPv4 may have, as in
	// Linux. It limits what a wrong report costs. IPv6 has no smaller one than
	// minPathMTU6.
	minPathMTU4 = 552
	minPathMTU6 = 1280

	// maxPathMTUs is how many destinations are remembered.
	maxPathMTUs = 1024
)

// learn remembers the MTU of a path if p is a report that a TCP segment of this
// stack was too big. The stack looks at it too, and verifies its checksum.
func (m *pathMTUs) learn(p []byte) {
	f, seq, mtu, ok := parseTooBig(p)
	if !ok || !m.connected(f) {
		return
	}
	m.tooBig(f, seq)
	m.mu.Lock()
	defer m.mu.Unlock()
	to, now := f.id.RemoteAddress, m.clock.Now()
	if known, ok := m.of[to]; ok && now.Before(known.expires) && known.mtu < mtu {
		return // it reports a packet that left before the smaller MTU was known
	}
	if _, ok := m.of[to]; !ok && len(m.of) >= maxPathMTUs {
		for address, known := range m.of {
			if !now.Before(known.expires) {
				delete(m.of, address)
			}
		}
		if len(m.of) >= maxPathMTUs {
			return
		}
	}
	if m.of == nil {
		m.of = map[tcpip.Address]pathMTU{}
	}
	m.of[to] = pathMTU{mtu, now.Add(pathMTULife)}
	m.count.Store(int32(len(m.of)))
}

// to returns the MTU of the path to a destination, or 0 if it is unknown.
func (m *pathMTUs) to(address tcpip.Address) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.of[address]
	if !ok {
		return 0
	}
	if !m.clock.Now().Before(known.expires) {
		delete(m.of, address)
		m.count.Store(int32(len(m.of)))
		return 0
	}
	return known.mtu
}

// received reduces the MSS in a SYN that was received, and learns from reports.
func (m *pathMTUs) received(p []byte, f flow, segment header.TCP) {
	switch {
	case segment == nil:
		m.learn(p)
	case m.count.Load() > 0 && segment.Flags().Contains(header.TCPFlagSyn):
		if mtu := m.to(f.id.RemoteAddress); mtu > 0 {
			packet.ClampMSS(p, mtu, false)
		}
	}
}

// sending reduces the MSS in a SYN that is sent. frame begins with its virtio header.
func (m *pathMTUs) sending(frame []byte) {
	if m.count.Load() == 0 {
		return
	}
	f, segment := parseTCP(frame[packet.VirtioHeaderSize:])
	if segment == nil || !segment.Flags().Contains(header.TCPFlagSyn) {
		return
	}
	if mtu := m.to(f.id.LocalAddress); mtu > 0 { // the destination: parseTCP looks from the other end
		packet.ClampFrameMSS(frame, mtu)
	}
}

// parseTooBig returns the connection whose segment was too big, where that began, and the
// MTU, if p is such a report.
func parseTooBig(p []byte) (f flow, seq seqnum.Value, mtu int, ok bool) {
	var quoted []byte
	switch {
	case len(p) >= header.IPv4MinimumSize && p[0]>>4 == 4:
		ip := header.IPv4(p)
		at := int(ip.HeaderLength())
		if ip.TransportProtocol() != header.ICMPv4ProtocolNumber || ip.FragmentOffset() != 0 || len(p) < at+header.ICMPv4MinimumSize+header.IPv4MinimumSize {
			return f, 0, 0, false
		}
		icmp := header.ICMPv4(p[at:])
		if icmp.Type() != header.ICMPv4DstUnreachable || icmp.Code() != header.ICMPv4FragmentationNeeded || icmp.MTU() < minPathMTU4 {
			return f, 0, 0, false
		}
		mtu, quoted = int(icmp.MTU()), icmp[header.ICMPv4MinimumSize:]
		sent := header.IPv4(quoted)
		at = int(sent.HeaderLength())
		if quoted[0]>>4 != 4 || sent.TransportProtocol() != header.TCPProtocolNumber || sent.FragmentOffset() != 0 || len(quoted) < at+8 {
			return f, 0, 0, false
		}
		f.network = header.IPv4ProtocolNumber
		f.id = stack.TransportEndpointID{LocalAddress: sent.SourceAddress(), RemoteAddress: sent.DestinationAddress()}
		quoted = quoted[at:]
	case len(p) >= header.IPv6MinimumSize+header.ICMPv6PacketTooBigMinimumSize+header.IPv6MinimumSize+8 && p[0]>>4 == 6:
		icmp := header.ICMPv6(p[header.IPv6MinimumSize:])
		if header.IPv6(p).NextHeader() != uint8(header.ICMPv6ProtocolNumber) || icmp.Type() != header.ICMPv6PacketTooBig ||
			icmp.MTU() < minPathMTU6 || icmp.MTU() > maxMTU {
			return f, 0, 0, false
		}
		mtu, quoted = int(icmp.MTU()), icmp[header.ICMPv6PacketTooBigMinimumSize:]
		sent := header.IPv6(quoted)
		if quoted[0]>>4 != 6 || sent.NextHeader() != uint8(header.TCPProtocolNumber) {
			return f, 0, 0, false
		}
		f.network = header.IPv6ProtocolNumber
		f.id = stack.TransportEndpointID{LocalAddress: sent.SourceAddress(), RemoteAddress: sent.DestinationAddress()}
		quoted = quoted[header.IPv6MinimumSize:]
	default:
		return f, 0, 0, false
	}
	sent := header.TCP(quoted) // at least its ports and sequence number
	f.id.LocalPort, f.id.RemotePort = sent.SourcePort(), sent.DestinationPort()
	return f, seqnum.Value(sent.SequenceNumber()), mtu, true
}
