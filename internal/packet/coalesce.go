package packet

import (
	"bytes"
	"encoding/binary"
)

const (
	maxTCPSegments = 128
	maxUDPSegments = 64 // the most that the kernel splits at once
)

// A Coalescer joins packets that were, or could have been, segments of one
// super-packet. It joins only what Segments would split into the very same
// packets again. Since a joined packet gets new checksums, it does not join
// damaged packets: they would become valid.
//
// It holds one super-packet. The caller adds frames in the order of arrival and
// writes what Add returns and, at the end, what Flush returns. Continue, called
// before Add, takes most packets of a long run faster.
type Coalescer struct {
	Offloads Offloads

	head    segment
	joined  int     // segments in the super-packet; 0: there is none
	total   int     // length of the super-packet
	next    uint32  // TCP sequence number that continues it
	id      uint16  // IPv4 identification of the last segment
	flags   byte    // TCP flags of all segments
	checked bool    // the checksums of head are right
	pseudo  uint64  // if checked: sum of the common pseudo header, without the length
	closed  bool    // no segment may follow
	pattern pattern // of packets that Continue takes

	// Two, so that the returned pieces stay valid while the next super-packet
	// grows.
	pieces [2][maxTCPSegments][]byte
	side   int
}

// Add takes a frame: VirtioHeaderSize free bytes, then an IP packet of exactly
// the length in its header. If the frame does not continue the super-packet,
// Add returns the pieces of the super-packet, which the caller writes; they are
// valid until the second call of Add or Flush after this one. The Coalescer
// writes to frame and keeps it until it has returned it.
func (c *Coalescer) Add(frame []byte) (out [][]byte) {
	s, ok := c.parse(frame[VirtioHeaderSize:])
	if ok && c.canJoin(&s) {
		c.join(&s)
		return nil
	}
	out = c.Flush()
	c.begin(frame, s, ok)
	return out
}

// Flush returns the pieces of the current super-packet, or nil if there is
// none.
func (c *Coalescer) Flush() (out [][]byte) {
	if c.joined == 0 {
		return nil
	}
	out = c.pieces[c.side][:c.joined]
	virtio := VirtioHeader{}
	if c.joined > 1 {
		virtio = c.finish()
	}
	virtio.Encode(out[0])
	c.joined, c.pattern.maxSegments = 0, 0
	c.side ^= 1
	return out
}

// A segment is a packet that may be part of a super-packet.
type segment struct {
	packet  []byte
	at      int // transport header
	headers int // length of all headers
	udp     bool
}

func (s *segment) id() uint16        { return binary.BigEndian.Uint16(s.packet[4:]) } // of IPv4
func (s *segment) payload() []byte   { return s.packet[s.headers:] }
func (s *segment) transport() []byte { return s.packet[s.at:] }
func (s *segment) flags() byte       { return s.packet[s.at+13] }

// parse finds the headers of p and reports whether p can be part of a
// super-packet at all: TCP or UDP with a payload, without IPv4 options,
// extension headers or fragmentation; of the TCP flags, only ACK, PSH, FIN, ECE
// and CWR.
func (c *Coalescer) parse(p []byte) (s segment, ok bool) {
	s.packet = p
	var protocol byte
	if p[0] == 0x45 && binary.BigEndian.Uint16(p[6:])&0x3fff == 0 {
		protocol, s.at = p[9], ipv4Header
	} else if p[0]>>4 == 6 {
		protocol, s.at = p[6], ipv6Header
	} else {
		return s, false
	}
	t := p[s.at:]
	switch {
	case protocol == protoTCP && c.Offloads.TCP && len(t) > tcpHeader:
		s.headers = s.at + int(t[12]>>4)*4
		ok = s.headers >= s.at+tcpHeader && t[13]&^(tcpFIN|tcpPSH|tcpECE|tcpCWR) == tcpACK
	case protocol == protoUDP && c.Offloads.UDP && len(t) > udpHeader:
		s.udp, s.headers = true, s.at+udpHeader
		// A datagram without a checksum must stay without.
		ok = int(binary.BigEndian.Uint16(t[4:])) == len(t) && (t[6] != 0 || t[7] != 0)
	}
	return s, ok && s.headers < len(p) && len(p) <= maxPacket
}

// begin starts a super-packet with a frame. Unless the frame is joinable, the
// super-packet is closed at once.
func (c *Coalescer) begin(frame []byte, s segment, joinable bool) {
	c.head = s
	c.joined, c.total = 1, len(s.packet)
	c.checked, c.closed = false, !joinable
	c.pieces[c.side][0] = frame
	if !joinable {
		return
	}
	c.id = s.id()
	if !s.udp {
		c.flags = s.flags()
		c.next = binary.BigEndian.Uint32(s.transport()[4:]) + uint32(len(s.payload()))
		c.closed = c.flags&(tcpFIN|tcpPSH) != 0
	}
}

// canJoin reports whether s continues the super-packet. It does the cheap
// comparisons first and verifies the checksums last.
func (c *Coalescer) canJoin(s *segment) bool {
	h := &c.head
	if c.joined == 0 || c.closed || c.joined >= s.maxSegments() || s.udp != h.udp || s.at != h.at || s.headers != h.headers ||
		len(s.packet) > len(h.packet) || c.total+len(s.payload()) > maxPacket {
		return false
	}
	if !sameIP(h.packet, s.packet, c.id) || !c.sameTransport(s) {
		return false
	}
	if !c.checked {
		if c.pseudo = pseudoSum(h.packet, h.protocol()); !h.intact(c.pseudo) {
			c.closed = true
			return false
		}
		c.checked = true
	}
	return s.intact(c.pseudo)
}

// sameIP compares the IP headers except for lengths and checksums. The
// identification must increase by one, as Segments increases it. With DF set it
// has no meaning (RFC 6864), many senders leave it at zero, and it is ignored.
func sameIP(head, p []byte, last uint16) bool {
	if head[0]>>4 == 6 {
		return [4]byte(head) == [4]byte(p) && head[6] == p[6] && head[7] == p[7] &&
			[32]byte(head[8:40]) == [32]byte(p[8:40])
	}
	if [2]byte(head) != [2]byte(p) || head[6] != p[6] || head[8] != p[8] || head[9] != p[9] ||
		[8]byte(head[12:20]) != [8]byte(p[12:20]) {
		return false
	}
	return p[6]&dontFragment != 0 || binary.BigEndian.Uint16(p[4:]) == last+1
}

func (c *Coalescer) sameTransport(s *segment) bool {
	h, t := c.head.transport(), s.transport()
	if [4]byte(h) != [4]byte(t) { // ports
		return false
	}
	if s.udp {
		return true
	}
	const mayDiffer = tcpFIN | tcpPSH | tcpCWR
	return binary.BigEndian.Uint32(t[4:]) == c.next &&
		[4]byte(h[8:]) == [4]byte(t[8:]) && // acknowledgement
		h[12] == t[12] && // data offset and reserved bits
		(h[13]^t[13])&^mayDiffer == 0 && t[13]&tcpCWR == 0 &&
		[2]byte(h[14:]) == [2]byte(t[14:]) && // window
		[2]byte(h[18:]) == [2]byte(t[18:]) && // urgent pointer
		bytes.Equal(h[tcpHeader:s.headers-s.at], t[tcpHeader:s.headers-s.at])
}

// intact reports whether the checksums of s are right. pseudo is the sum of its
// pseudo header, without the length.
func (s *segment) intact(pseudo uint64) bool {
	p := s.packet
	if p[0]>>4 == 4 && !valid(sumIPv4((*[ipv4Header]byte)(p))) {
		return false
	}
	t := s.transport()
	return valid(sum(t, add64(pseudo, word(uint16(len(t))))))
}

func (s *segment) maxSegments() int {
	if s.udp {
		return maxUDPSegments
	}
	return maxTCPSegments
}

func (s *segment) protocol() byte {
	if s.udp {
		return protoUDP
	}
	return protoTCP
}

func (c *Coalescer) join(s *segment) {
	payload := s.payload()
	c.pieces[c.side][c.joined] = payload
	c.joined++
	c.total += len(payload)
	c.id = s.id()
	c.closed = len(payload) < len(c.head.payload())
	if !s.udp {
		c.next += uint32(len(payload))
		c.flags |= s.flags()
		c.closed = c.closed || s.flags()&(tcpFIN|tcpPSH) != 0
	}
	if c.closed {
		c.pattern.maxSegments = 0
	} else if c.pattern.maxSegments == 0 {
		c.pattern.set(s, c.pseudo)
	}
}

// finish turns the headers of the first segment into those of the super-packet.
// The checksum field gets the sum of the pseudo header only: whatever splits or
// receives the packet completes it.
func (c *Coalescer) finish() VirtioHeader {
	p, t := c.head.packet, c.head.transport()
	virtio := VirtioHeader{
		Flags:          NeedsChecksum,
		HeaderLen:      uint16(c.head.headers),
		GSOSize:        uint16(len(c.head.payload())),
		ChecksumStart:  uint16(c.head.at),
		ChecksumOffset: tcpChecksum,
	}
	length := uint16(c.total - c.head.at)
	protocol := byte(protoTCP)
	if c.head.udp {
		protocol = protoUDP
		virtio.GSOType, virtio.ChecksumOffset = GSOUDPL4, udpChecksum
		binary.BigEndian.PutUint16(t[4:], length)
	} else {
		t[13] = c.flags
		virtio.GSOType = GSOTCP6
		if p[0]>>4 == 4 {
			virtio.GSOType = GSOTCP4
		}
		if c.flags&tcpCWR != 0 {
			virtio.GSOType |= GSOECN
		}
	}
	if p[0]>>4 == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(c.total))
		putIPv4Checksum(p[:c.head.at])
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(c.total-ipv6Header))
	}
	putSum(t[virtio.ChecksumOffset:], fold(add64(pseudoSum(p, protocol), word(length))))
	return virtio
}
