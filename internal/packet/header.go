package packet

import (
	"encoding/binary"
	"net/netip"
)

// Protocol numbers, including the IPv6 extension headers that are skipped.
const (
	protoHopByHop    = 0
	protoICMP4       = 1
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoICMP6       = 58
	protoDestination = 60
)

const (
	ipv4Header  = 20
	ipv6Header  = 40
	tcpHeader   = 20
	udpHeader   = 8
	tcpChecksum = 16 // offset in the header
	udpChecksum = 6

	dontFragment = 0x40 // in byte 6 of an IPv4 header

	maxPacket = 65535
)

// TCP flags.
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpPSH = 0x08
	tcpACK = 0x10
	tcpECE = 0x40
	tcpCWR = 0x80
)

// IsIP reports whether p is an IPv4 or IPv6 packet with a complete header. All
// other functions of this file except Length require that.
func IsIP(p []byte) bool {
	if len(p) < ipv4Header {
		return false
	}
	switch p[0] >> 4 {
	case 4:
		n := ipv4HeaderLen(p)
		return n >= ipv4Header && n <= len(p)
	case 6:
		return len(p) >= ipv6Header
	}
	return false
}

// Length returns the packet length from the IP header of p, and reports whether
// it is at least that of the header and at most that of p (A47).
func Length(p []byte) (n int, ok bool) {
	if !IsIP(p) {
		return 0, false
	}
	if p[0]>>4 == 6 {
		n = ipv6Header + int(binary.BigEndian.Uint16(p[4:]))
		return n, n <= len(p)
	}
	n = int(binary.BigEndian.Uint16(p[2:]))
	return n, n >= ipv4HeaderLen(p) && n <= len(p)
}

// Source returns the source address of p.
func Source(p []byte) netip.Addr {
	if p[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(p[12:16]))
	}
	return netip.AddrFrom16([16]byte(p[8:24]))
}

// Destination returns the destination address of p.
func Destination(p []byte) netip.Addr {
	if p[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(p[16:20]))
	}
	return netip.AddrFrom16([16]byte(p[24:40]))
}

// TTL returns the TTL or hop limit of p.
func TTL(p []byte) byte {
	if p[0]>>4 == 4 {
		return p[8]
	}
	return p[7]
}

// DontFragment reports whether routers must not fragment p: in IPv4 by its DF bit, in IPv6
// always.
func DontFragment(p []byte) bool { return p[0]>>4 == 6 || p[6]&dontFragment != 0 }

func ipv4HeaderLen(p []byte) int { return int(p[0]&0x0f) * 4 }

// transport finds the transport header of p: its protocol and its offset, which
// may be beyond the end of p. For a fragment that is not the first, first is
// false, at is the offset of its data, and protocol is that of the fragment
// header.
func transport(p []byte) (protocol byte, at int, first bool) {
	if p[0]>>4 == 4 {
		return p[9], ipv4HeaderLen(p), binary.BigEndian.Uint16(p[6:])&0x1fff == 0
	}
	protocol, at = p[6], ipv6Header
	for at+8 <= len(p) {
		switch protocol {
		case protoHopByHop, protoRouting, protoDestination:
			protocol, at = p[at], at+8+int(p[at+1])*8
		case protoFragment:
			offset := binary.BigEndian.Uint16(p[at+2:]) >> 3
			protocol, at = p[at], at+8
			if offset != 0 {
				return protocol, at, false
			}
		default:
			return protocol, at, true
		}
	}
	return protocol, at, true
}

// UDPPorts returns the ports of p. udp reports whether p is UDP, ok whether it
// has the ports: a fragment that is not the first has none.
func UDPPorts(p []byte) (source, destination uint16, udp, ok bool) {
	protocol, at, first := transport(p)
	if protocol != protoUDP {
		return 0, 0, false, false
	}
	if !first || at+4 > len(p) {
		return 0, 0, true, false
	}
	return binary.BigEndian.Uint16(p[at:]), binary.BigEndian.Uint16(p[at+2:]), true, true
}

// UDPPayload returns the data of p after its UDP header, or nil if p is not UDP
// or lacks a complete UDP header. For a first fragment or a super-packet, that
// is all data in p.
func UDPPayload(p []byte) []byte {
	protocol, at, first := transport(p)
	if protocol != protoUDP || !first || at+udpHeader > len(p) {
		return nil
	}
	return p[at+udpHeader:]
}

// Fragment returns the identification of the datagram of which p, which is UDP,
// is a fragment. ok is false if p is a whole datagram.
func Fragment(p []byte) (id uint32, ok bool) {
	if p[0]>>4 == 4 {
		const moreOrOffset = 0x3fff
		return uint32(binary.BigEndian.Uint16(p[4:])), binary.BigEndian.Uint16(p[6:])&moreOrOffset != 0
	}
	if p[6] == protoUDP { // no other header in between
		return 0, false
	}
	for protocol, at := p[6], ipv6Header; at+8 <= len(p); {
		switch protocol {
		case protoHopByHop, protoRouting, protoDestination:
			protocol, at = p[at], at+8+int(p[at+1])*8
		case protoFragment:
			return binary.BigEndian.Uint32(p[at+4:]), true
		default:
			return 0, false
		}
	}
	return 0, false
}
