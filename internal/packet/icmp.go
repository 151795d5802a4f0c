package packet

import (
	"encoding/binary"
	"net/netip"
)

// A Problem is what an ICMP error reports to the sender of a packet.
type Problem uint8

const (
	Unreachable Problem = iota // host (3/1), or in ICMPv6 address (1/3), unreachable
	TooBig                     // fragmentation needed (3/4), or in ICMPv6 packet too big (2/0)
)

// MaxErrorFrame is the longest frame that PutError writes.
const MaxErrorFrame = VirtioHeaderSize + ipv6Header + maxError6

// The maximum length of an ICMP error with the packet it quotes, without the IP
// header.
const (
	icmpHeader = 8
	maxError4  = 576 - ipv4Header
	maxError6  = 1280 - ipv6Header
)

// PutError writes a frame with an ICMP error about p, an IP packet, to frame,
// which has at least MaxErrorFrame bytes, and returns its length. It returns 0
// if no error must be sent: about multicast and broadcast packets, fragments
// other than the first, and ICMP errors. mtu is for TooBig.
//
// The source of the error is the destination of p, because the receiving host
// would not accept an error from one of its own addresses (A48).
func PutError(frame, p []byte, problem Problem, mtu int) int {
	if !mayReport(p) {
		return 0
	}
	(&VirtioHeader{}).Encode(frame)
	out := frame[VirtioHeaderSize:]
	if p[0]>>4 == 4 {
		return VirtioHeaderSize + putError4(out, p, problem, mtu)
	}
	return VirtioHeaderSize + putError6(out, p, problem, mtu)
}

func mayReport(p []byte) bool {
	if !isHost(Source(p)) || !isHost(Destination(p)) {
		return false
	}
	protocol, at, first := transport(p)
	if !first {
		return false
	}
	if protocol == protoICMP4 && p[0]>>4 == 4 {
		return at < len(p) && !isError4(p[at])
	}
	if protocol == protoICMP6 && p[0]>>4 == 6 {
		const redirect = 137 // has an informational number, but no error may be sent about it
		return at < len(p) && p[at] >= 128 && p[at] != redirect
	}
	return true
}

// isHost reports whether a is the address of a single host.
func isHost(a netip.Addr) bool {
	return !a.IsMulticast() && !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// isError4 reports whether kind is an ICMPv4 error, not a query or a reply.
func isError4(kind byte) bool {
	switch kind {
	case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time exceeded, parameter problem
		return true
	}
	return false
}

func putError4(out, p []byte, problem Problem, mtu int) int {
	quote := min(len(p), maxError4-icmpHeader)
	n := ipv4Header + icmpHeader + quote
	out = out[:n]
	clear(out[:ipv4Header+icmpHeader])
	out[0] = 0x45
	binary.BigEndian.PutUint16(out[2:], uint16(n))
	out[6] = 0x40 // don't fragment
	out[8] = 64
	out[9] = protoICMP4
	copy(out[12:16], p[16:20])
	copy(out[16:20], p[12:16])
	putIPv4Checksum(out[:ipv4Header])

	t := out[ipv4Header:]
	t[0], t[1] = 3, 1
	if problem == TooBig {
		t[1] = 4
		binary.BigEndian.PutUint16(t[6:], uint16(min(mtu, maxPacket)))
	}
	copy(t[icmpHeader:], p)
	putSum(t[2:], ^fold(sum(t, 0)))
	return n
}

func putError6(out, p []byte, problem Problem, mtu int) int {
	quote := min(len(p), maxError6-icmpHeader)
	n := ipv6Header + icmpHeader + quote
	out = out[:n]
	clear(out[:ipv6Header+icmpHeader])
	out[0] = 0x60
	binary.BigEndian.PutUint16(out[4:], uint16(n-ipv6Header))
	out[6] = protoICMP6
	out[7] = 64
	copy(out[8:24], p[24:40])
	copy(out[24:40], p[8:24])

	t := out[ipv6Header:]
	t[0], t[1] = 1, 3
	if problem == TooBig {
		t[0], t[1] = 2, 0
		binary.BigEndian.PutUint32(t[4:], uint32(mtu))
	}
	copy(t[icmpHeader:], p)
	putSum(t[2:], ^fold(sum(t, add64(pseudoSum(out, protoICMP6), word(uint16(len(t)))))))
	return n
}
