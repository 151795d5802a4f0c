package packet

import "encoding/binary"

// The two bits of ECN (RFC 3168).
const (
	NotECT = 0 // the sender does not know of ECN
	ECT1   = 1
	ECT0   = 2
	CE     = 3 // congestion experienced
)

// ECN returns the bits of an IP packet.
func ECN(p []byte) byte {
	if p[0]>>4 == 4 {
		return p[1] & 3
	}
	return p[1] >> 4 & 3
}

// CombineECN is what the inner packet must say after both headers were read
// (RFC 6040, §4.2, but for one case). The mark is lost where the outer header
// says that there is congestion and the inner one cannot carry that. RFC 6040
// drops such a packet, so that its sender learns of the congestion. It is
// delivered here, as the implementations in use do: there are paths that mark
// everything, and the SYN of every TCP connection is Not-ECT (A56).
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

// Unmarked reports whether an outer header with these bits leaves every inner
// one as it is, and no mark is lost.
func Unmarked(outer byte) bool { return outer&1 == 0 }

// SetECN changes the bits of an IP packet, and the IPv4 checksum by as much: a
// header that was damaged stays so.
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
