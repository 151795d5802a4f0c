package packet

import "encoding/binary"

// Segments iterates over the packets of one frame. It never writes to the
// frame.
//
//	for n := s.Next(); n > 0; n = s.Next() {
//		s.Put(dst[:n])
//	}
type Segments struct {
	virtio  VirtioHeader
	headers []byte // or the whole packet, if it is not a super-packet
	payload []byte // not yet put
	count   int    // packets
	done    int    // packets put
	at      int    // offset of the transport header
	common  sums
	udp     bool
}

// sums are the folded sums of what is the same in the headers of all packets.
type sums struct {
	ip        uint64 // of the IPv4 header
	transport uint64 // of the transport header and the pseudo header, without the length
}

// Reset starts with another frame, which holds an IP packet. It reports whether
// the frame meets the contract of this package.
func (s *Segments) Reset(frame []byte) bool {
	*s = Segments{}
	if !s.virtio.Decode(frame) {
		return false
	}
	p := frame[VirtioHeaderSize:]
	if s.virtio.GSOType != GSONone {
		return s.resetSuper(p)
	}
	s.headers, s.count = p, 1
	start, field := int(s.virtio.ChecksumStart), int(s.virtio.ChecksumOffset)
	return s.virtio.Flags&NeedsChecksum == 0 || start+field+2 <= len(p)
}

// resetSuper parses the headers of a super-packet. The virtio header must agree
// with those of the packet.
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
	// Only IPv6 may have other headers between its own and the transport
	// header.
	if at < ip || p[0]>>4 == 4 && at != ip || end > len(p) || len(p) > maxPacket ||
		int(s.virtio.ChecksumOffset) != field || s.virtio.Flags&NeedsChecksum == 0 || s.virtio.GSOSize == 0 {
		return false
	}
	s.at, s.headers, s.payload = at, p[:end], p[end:]
	size := int(s.virtio.GSOSize)
	s.count = max(1, (len(s.payload)+size-1)/size)
	s.sumHeaders()
	return true
}

// sumHeaders computes the sums of what is the same in all packets.
func (s *Segments) sumHeaders() {
	p, t := s.headers, s.headers[s.at:]
	if p[0]>>4 == 4 { // without length, identification, and checksum
		s.common.ip = uint64(fold(sum(p[12:s.at], sum(p[6:10], sum(p[:2], 0)))))
	}
	// The checksum field holds the sum of the pseudo header with the length of
	// the whole. It cannot be computed from the IP header: with a routing
	// header, or a source route in the IPv4 options, that has the next hop
	// instead of the final destination. Subtract the length by adding its
	// complement.
	ac := word(^uint16(len(t) + len(s.payload)))
	if s.udp { // without length
		ac = sum(t[6:], sum(t[:4], ac))
	} else { // without sequence number, data offset and flags
		ac = sum(t[14:], sum(t[8:12], sum(t[:4], ac)))
	}
	s.common.transport = uint64(fold(ac))
}

// Remaining returns the number of packets that have not been put yet.
func (s *Segments) Remaining() int { return s.count - s.done }

// Next returns the length of the next packet to put, or 0 if there is none.
func (s *Segments) Next() int {
	if s.done == s.count {
		return 0
	}
	return len(s.headers) + s.size()
}

// size returns the payload length of the next packet.
func (s *Segments) size() int { return min(len(s.payload), int(s.virtio.GSOSize)) }

// Run returns how many packets, from the next on, have the length that Next
// returns: all that are left, or all but the last.
func (s *Segments) Run() int {
	if left := s.Remaining(); left > 1 && len(s.payload) < left*int(s.virtio.GSOSize) {
		return left - 1
	} else {
		return left
	}
}

// Last returns the length of the last packet of the frame. No packet is
// shorter.
func (s *Segments) Last() int {
	others := max(s.Remaining()-1, 0) * int(s.virtio.GSOSize) // of payload
	return len(s.headers) + len(s.payload) - others
}

// Put writes the next packet with complete checksums to dst, which must have
// exactly the length that Next returned.
func (s *Segments) Put(dst []byte) { s.PutRun(dst, 0, 1) }

// PutRun is Put for count packets, from 1 to what Run returned. It writes the
// first to the beginning of dst and each other one stride bytes after the one
// before, and does not touch the bytes between them.
func (s *Segments) PutRun(dst []byte, stride, count int) {
	if s.virtio.GSOType != GSONone {
		for ; count > maxChunk; count -= maxChunk {
			s.putChunk(dst, stride, maxChunk)
			dst = dst[maxChunk*stride:]
		}
		s.putChunk(dst, stride, count)
		return
	}
	n := copy(dst, s.headers)
	if s.virtio.Flags&NeedsChecksum != 0 {
		completeChecksum(dst[s.virtio.ChecksumStart:n], int(s.virtio.ChecksumOffset))
	}
	s.done++
}

// maxChunk is the number of packets that putChunk writes at most.
const maxChunk = 64

// putChunk is PutRun for up to maxChunk packets of a super-packet. It first
// copies the headers and the payload of all packets, then fixes the headers of
// each.
func (s *Segments) putChunk(dst []byte, stride, count int) {
	var array [maxChunk]uint64
	sums, size := array[:count], s.size()
	copyPackets(dst, stride, s.headers, s.payload, size, sums)
	s.payload = s.payload[count*size:]
	if s.headers[0]>>4 == 4 {
		s.putIPv4(dst, stride, count, len(s.headers)+size)
	} else {
		s.putIPv6(dst, stride, count, len(s.headers)+size)
	}
	if s.udp {
		s.putUDP(dst, stride, sums, len(s.headers)+size-s.at)
	} else {
		s.putTCP(dst, stride, sums, len(s.headers)+size-s.at)
	}
	s.done += count
}

// copyPackets writes len(sums) packets to dst, placed as by PutRun: the
// headers, then the next size bytes of payload, whose sum it stores in sums.
func copyPackets(dst []byte, stride int, headers, payload []byte, size int, sums []uint64) {
	if size >= minVectorBytes && hasVectors {
		copyPacketsVector(dst, stride, headers, payload, size, sums)
		return
	}
	for i := range sums {
		p := dst[i*stride:][:len(headers)+size]
		n := copy(p, headers)
		copy(p[n:], payload[i*size:][:size])
		sums[i] = sum(p[n:], 0)
	}
}

// putIPv4 sets length, identification and checksum in the IPv4 headers of count
// packets of n bytes.
func (s *Segments) putIPv4(dst []byte, stride, count, n int) {
	common, id := s.common.ip, binary.BigEndian.Uint16(s.headers[4:])+uint16(s.done)
	for i := range count {
		h := (*[ipv4Header]byte)(dst[i*stride:])
		v := uint32(n)<<16 | uint32(id)
		binary.BigEndian.PutUint32(h[2:], v)
		putSum(h[10:], ^fold(common+words(uint64(v))))
		id++
	}
}

// putIPv6 sets the length in the IPv6 headers of count packets of n bytes.
func (s *Segments) putIPv6(dst []byte, stride, count, n int) {
	for i := range count {
		binary.BigEndian.PutUint16(dst[i*stride+4:], uint16(n-ipv6Header))
	}
}

// putTCP sets sequence number, flags and checksum in the TCP headers of
// segments of n bytes (header and payload), whose payloads have these sums.
func (s *Segments) putTCP(dst []byte, stride int, sums []uint64, n int) {
	first := (*[tcpHeader]byte)(s.headers[s.at:])
	common := s.common.transport + word(uint16(n))
	seq := binary.BigEndian.Uint32(first[4:]) + uint32(s.done)*uint32(s.virtio.GSOSize)
	flags := binary.BigEndian.Uint16(first[12:])
	at, size, isFirst, last := s.at, uint32(s.virtio.GSOSize), s.done == 0, s.Remaining()-1
	for i, ac := range sums {
		h := (*[tcpHeader]byte)(dst[at:])
		at += stride
		f := flags
		if i > 0 || !isFirst {
			f &^= tcpCWR
		}
		if i < last {
			f &^= tcpFIN | tcpPSH
		}
		binary.BigEndian.PutUint32(h[4:], seq)
		binary.BigEndian.PutUint16(h[12:], f)
		putSum(h[tcpChecksum:], ^fold(add64(ac, common+words(uint64(seq)+uint64(f)))))
		seq += size
	}
}

// putUDP sets length and checksum in the UDP headers of datagrams of n bytes
// (header and payload), whose payloads have these sums.
func (s *Segments) putUDP(dst []byte, stride int, sums []uint64, n int) {
	common := s.common.transport + 2*word(uint16(n))
	at := s.at
	for _, ac := range sums {
		h := (*[udpHeader]byte)(dst[at:])
		at += stride
		binary.BigEndian.PutUint16(h[4:], uint16(n))
		putChecksum(h[:], udpChecksum, fold(add64(ac, common)))
	}
}
