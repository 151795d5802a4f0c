package packet

import "encoding/binary"

// Segments walks over the packets that one frame stands for. It never writes
// to the frame.
//
//	for n := s.Next(); n > 0; n = s.Next() {
//		s.Put(dst[:n])
//	}
type Segments struct {
	virtio  VirtioHeader
	headers []byte // of a packet that stands for itself: all of it
	payload []byte // not yet put
	whole   int    // length of payload at first
	taken   int    // packets put
	at      int    // transport header
	common  sums
	udp     bool
}

// sums of what is the same in the headers of all packets.
type sums struct {
	ip        uint64 // of an IPv4 header
	transport uint64 // and of the pseudo header
}

// Reset begins with another frame, whose packet IsIP. It reports whether the
// frame is one that the contract of this package knows.
func (s *Segments) Reset(frame []byte) bool {
	*s = Segments{}
	if !s.virtio.Decode(frame) {
		return false
	}
	p := frame[VirtioHeaderSize:]
	if s.virtio.GSOType != GSONone {
		return s.resetSuper(p)
	}
	s.headers = p
	start, field := int(s.virtio.ChecksumStart), int(s.virtio.ChecksumOffset)
	return s.virtio.Flags&NeedsChecksum == 0 || start+field+2 <= len(p)
}

// resetSuper looks at the headers of a super-packet. What it says about
// itself twice must agree.
func (s *Segments) resetSuper(p []byte) bool {
	at := int(s.virtio.ChecksumStart)
	ip := ipv6Header
	if p[0]>>4 == 4 {
		ip = ipv4HeaderLen(p)
	}
	var end, field int
	switch s.virtio.GSOType {
	case GSOTCP4, GSOTCP4 | GSOECN, GSOTCP6, GSOTCP6 | GSOECN:
		if (s.virtio.GSOType&^GSOECN == GSOTCP4) != (p[0]>>4 == 4) || at+tcpHeader > len(p) {
			return false
		}
		end, field = at+int(p[at+12]>>4)*4, tcpChecksum
		if end < at+tcpHeader {
			return false
		}
	case GSOUDPL4:
		end, field, s.udp = at+udpHeader, udpChecksum, true
	default:
		return false
	}
	// Only IPv6 may have something between its header and the transport's.
	if at < ip || p[0]>>4 == 4 && at != ip || end > len(p) || len(p) > maxPacket ||
		int(s.virtio.ChecksumOffset) != field || s.virtio.Flags&NeedsChecksum == 0 || s.virtio.GSOSize == 0 {
		return false
	}
	s.at, s.headers, s.payload, s.whole = at, p[:end], p[end:], len(p)-end
	s.sumHeaders()
	return true
}

// sumHeaders adds up all that putHeaders does not change.
func (s *Segments) sumHeaders() {
	p, t := s.headers, s.headers[s.at:]
	if p[0]>>4 == 4 { // but for length, identification, and checksum
		s.common.ip = sum(p[12:s.at], sum(p[6:10], sum(p[:2], 0)))
	}
	if s.udp { // but for length and checksum
		s.common.transport = sum(t[:4], pseudoSum(p, protoUDP))
		return
	}
	// But for sequence number, flags, and checksum.
	s.common.transport = sum(t[18:], sum(t[14:16], sum(t[8:12], sum(t[:4], pseudoSum(p, protoTCP)))))
}

// Count is the number of packets in the frame.
func (s *Segments) Count() int {
	if s.whole == 0 {
		return 1
	}
	size := int(s.virtio.GSOSize)
	return (s.whole + size - 1) / size
}

// Left is how many of them Put has not yet written.
func (s *Segments) Left() int { return s.Count() - s.taken }

// Next is the length of the packet that Put writes next; 0 when there is none.
func (s *Segments) Next() int {
	if s.taken > 0 && len(s.payload) == 0 {
		return 0
	}
	return len(s.headers) + min(len(s.payload), int(s.virtio.GSOSize))
}

// Put writes the next packet, with complete checksums, to dst, which has
// exactly the length that Next returned.
func (s *Segments) Put(dst []byte) {
	n := copy(dst, s.headers)
	if s.virtio.GSOType != GSONone {
		payload := s.payload[:len(dst)-n]
		s.payload = s.payload[len(payload):]
		s.putHeaders(dst, copySum(dst[n:], payload, 0))
	} else if s.virtio.Flags&NeedsChecksum != 0 {
		completeChecksum(dst[s.virtio.ChecksumStart:], int(s.virtio.ChecksumOffset))
	}
	s.taken++
}

// putHeaders makes the headers of the super-packet those of one segment, whose
// payload has the sum ac.
func (s *Segments) putHeaders(dst []byte, ac uint64) {
	if dst[0]>>4 == 4 {
		binary.BigEndian.PutUint16(dst[2:], uint16(len(dst)))
		id := binary.BigEndian.Uint16(dst[4:])
		binary.BigEndian.PutUint16(dst[4:], id+uint16(s.taken))
		putSum(dst[10:], ^fold(add64(s.common.ip, uint64(binary.NativeEndian.Uint32(dst[2:])))))
	} else {
		binary.BigEndian.PutUint16(dst[4:], uint16(len(dst)-ipv6Header))
	}
	t := dst[s.at:]
	ac = add64(ac, s.common.transport)
	ac = add64(ac, word(uint16(len(t))))
	field := tcpChecksum
	if s.udp {
		field = udpChecksum
		binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
		ac = add64(ac, word(uint16(len(t))))
	} else {
		seq := binary.BigEndian.Uint32(t[4:])
		binary.BigEndian.PutUint32(t[4:], seq+uint32(s.taken)*uint32(s.virtio.GSOSize))
		if len(s.payload) > 0 {
			t[13] &^= tcpFIN | tcpPSH
		}
		if s.taken > 0 {
			t[13] &^= tcpCWR
		}
		ac = add64(ac, uint64(binary.NativeEndian.Uint32(t[4:])))
		ac = add64(ac, uint64(binary.NativeEndian.Uint16(t[12:])))
	}
	putChecksum(t, field, fold(ac))
}
