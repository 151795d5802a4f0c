package packet

import "encoding/binary"

// A pattern describes the usual next packet of a super-packet, once two packets
// are joined: it is as long as they are and has the same headers except for the
// sequence number, the identification and the checksums. Everything else that
// parse, canJoin and join determine is then known in advance.
type pattern struct {
	maxSegments int // of the super-packet; 0: there is no pattern
	size        int // length of the packet
	at          int // transport header
	headers     int // length of all headers
	v4, udp     bool
	sum         uint64 // of the pseudo header

	// The headers as words in memory order; only the bits set in mask count.
	words      int
	want, mask [maxHeaders / 8]uint64
}

const (
	maxHeaders   = (ipv6Header + 60 + 7) &^ 7
	usualHeaders = 64 // always compared, without a loop
)

// set makes s, a segment that was joined and may be followed by another, the
// pattern.
func (w *pattern) set(s *segment, pseudo uint64) {
	p := s.packet
	v4 := p[0]>>4 == 4
	words := max(s.headers+7, usualHeaders) / 8
	// Add handles packets whose identification counts.
	if v4 && p[6]&dontFragment == 0 || len(p) < 8*words {
		return
	}
	var mask [maxHeaders]byte
	for i := range s.headers {
		mask[i] = 0xff
	}
	if v4 {
		clear(mask[4:6])   // identification
		clear(mask[10:12]) // checksum
	}
	t := mask[s.at:]
	if s.udp {
		clear(t[udpChecksum:][:2])
	} else {
		clear(t[4:8]) // sequence number
		clear(t[tcpChecksum:][:2])
	}
	for i := range words {
		w.want[i] = binary.NativeEndian.Uint64(p[8*i:])
		w.mask[i] = binary.NativeEndian.Uint64(mask[8*i:])
	}
	w.words, w.size, w.at, w.headers, w.v4, w.udp = words, len(p), s.at, s.headers, v4, s.udp
	w.sum = add64(pseudo, word(uint16(len(p)-s.at)))
	w.maxSegments = min(s.maxSegments(), (maxPacket-s.headers)/len(s.payload()))
}

// matches reports whether p has the headers of the pattern.
func (w *pattern) matches(p []byte) bool {
	h := (*[usualHeaders]byte)(p)
	differs := w.differs(0, h[0:]) | w.differs(1, h[8:]) | w.differs(2, h[16:]) | w.differs(3, h[24:]) |
		w.differs(4, h[32:]) | w.differs(5, h[40:]) | w.differs(6, h[48:]) | w.differs(7, h[56:])
	for i := usualHeaders / 8; i < w.words; i++ {
		differs |= w.differs(i, p[8*i:])
	}
	return differs == 0
}

// differs returns the bits in which b differs from the i-th word.
func (w *pattern) differs(i int, b []byte) uint64 {
	return (binary.NativeEndian.Uint64(b) ^ w.want[i]) & w.mask[i]
}

// Continue is a faster Add for a packet that continues the super-packet in the
// usual way: any but the first, the second, and a short last one. It reports
// whether b begins with such a packet; if not, it does nothing. More data may
// follow the packet in b. The Coalescer keeps b until it has returned the
// super-packet.
func (c *Coalescer) Continue(b []byte) bool {
	w := &c.pattern
	if c.joined >= w.maxSegments || len(b) < w.size {
		return false
	}
	p := b[:w.size]
	if !w.matches(p) || w.v4 && !valid(sumIPv4((*[ipv4Header]byte)(p))) {
		return false
	}
	t := p[w.at:]
	if w.udp {
		if t[udpChecksum] == 0 && t[udpChecksum+1] == 0 {
			return false
		}
	} else if binary.BigEndian.Uint32(t[4:]) != c.next {
		return false
	}
	if !valid(sum(t, w.sum)) {
		return false
	}
	payload := p[w.headers:]
	c.pieces[c.side][c.joined] = payload
	c.joined++
	c.total += len(payload)
	c.next += uint32(len(payload))
	return true
}
