package packet

import (
	"encoding/binary"
	"net/netip"
)

// A DatagramHeader is what the IP and UDP headers of a datagram say.
type DatagramHeader struct {
	From, To     netip.AddrPort // of the same family, without IPv4-mapped addresses
	TOS          byte           // or the traffic class: DSCP and ECN
	TTL          byte           // or the hop limit
	DontFragment bool
}

// AppendDatagram appends an IP packet that holds payload as a UDP datagram, with
// complete checksums. If it is too long for IP, AppendDatagram appends nothing.
func AppendDatagram(b []byte, h *DatagramHeader, payload []byte) []byte {
	at, n := len(b), udpHeader+len(payload)
	if h.To.Addr().Is4() {
		if ipv4Header+n > maxPacket {
			return b
		}
		b = append(b, 0x45, h.TOS, 0, 0, 0, 0, 0, 0, h.TTL, protoUDP, 0, 0)
		binary.BigEndian.PutUint16(b[at+2:], uint16(ipv4Header+n))
		if h.DontFragment {
			b[at+6] = dontFragment
		}
		from, to := h.From.Addr().As4(), h.To.Addr().As4()
		b = append(append(b, from[:]...), to[:]...)
		putIPv4Checksum(b[at:])
	} else {
		if n > maxPacket {
			return b
		}
		b = append(b, 0x60|h.TOS>>4, h.TOS<<4, 0, 0, 0, 0, protoUDP, h.TTL)
		binary.BigEndian.PutUint16(b[at+4:], uint16(n))
		from, to := h.From.Addr().As16(), h.To.Addr().As16()
		b = append(append(b, from[:]...), to[:]...)
	}
	transport := len(b)
	b = binary.BigEndian.AppendUint16(b, h.From.Port())
	b = binary.BigEndian.AppendUint16(b, h.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(append(b, 0, 0), payload...)
	putSum(b[transport+udpChecksum:], fold(add64(pseudoSum(b[at:], protoUDP), word(uint16(n)))))
	completeChecksum(b[transport:], udpChecksum)
	return b
}
