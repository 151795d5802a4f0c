package packet

import "encoding/binary"

// The two bits of ECN (RFC 3168).
const (
	NotECT = 0 // the transport does not support ECN
	ECT1   = 1
	ECT0   = 2
	CE     = 3 // congestion experienced
)

// ECN returns the ECN bits of an IP packet.
func ECN(p []byte) byte {
	if p[0]>>4 == 4 {
		return p[1] & 3
	}
	return p[1] >> 4 & 3
}

// CombineECN returns the ECN bits for the inner packet after decapsulation (RFC
// 6040, section 4.2, with one exception), and whether a mark is lost: when the
// outer header reports congestion and the inner packet is Not-ECT. RFC 6040
// drops such a packet, so that its sender notices the congestion. Here it is
// delivered, as existing implementations do: some paths mark everything, and
// the SYN of every TCP connection is Not-ECT (A56).
func CombineECN(inner, outer byte) (combined byte, lost bool) {
	switch {
	case inner == NotECT:
		return NotECT, outer == CE
	case outer == CE:
		return CE, false
	case inner == ECT0 && outer == ECT1:
		return ECT1, false
	}
	return inner, false
}

// Unmarked reports whether CombineECN with this outer value leaves every inner
// value unchanged and loses no mark.
func Unmarked(outer byte) bool { return outer&1 == 0 }

// SetECN changes the ECN bits of an IP packet and updates the IPv4 checksum by
// the difference, so that a damaged header stays damaged.
func SetECN(p []byte, ecn byte) {
	if p[0]>>4 == 6 {
		p[1] = p[1]&^0x30 | ecn<<4
		return
	}
	before := binary.NativeEndian.Uint16(p[0:])
	p[1] = p[1]&^3 | ecn
	after := binary.NativeEndian.Uint16(p[0:])
	// RFC 1624, equation 3.
	old := binary.NativeEndian.Uint16(p[10:])
	putSum(p[10:], ^fold(uint64(^old)+uint64(^before)+uint64(after)))
}
