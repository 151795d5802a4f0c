package packet

import (
	"encoding/binary"
	"math/bits"
)

const (
	// Kinds of TCP options.
	optionEnd  = 0
	optionNoOp = 1
	optionMSS  = 2

	mssLength  = 4  // of the option
	minimumMSS = 48 // Linux accepts no smaller one
)

// ClampFrameMSS is ClampMSS for the packet in a frame. A super-packet is no SYN.
func ClampFrameMSS(frame []byte, mtu int) bool {
	const flags, gsoType = 0, 1 // offsets in the virtio header
	return frame[gsoType] == GSONone && ClampMSS(frame[VirtioHeaderSize:], mtu, frame[flags]&NeedsChecksum != 0)
}

// ClampMSS reduces the maximum segment size that p offers, if p is a TCP SYN and packets of
// that size would be longer than mtu bytes. It never increases it. partial says that the
// checksum of p is not complete yet: it is the sum of the pseudo header alone, as in a frame
// with NeedsChecksum. ClampMSS reports whether it has changed p.
func ClampMSS(p []byte, mtu int, partial bool) bool {
	protocol, at, first := transport(p)
	if protocol != protoTCP || !first || at+tcpHeader > len(p) || p[at+13]&tcpSYN == 0 {
		return false
	}
	t := p[at:]
	headers := ipv4Header + tcpHeader
	if p[0]>>4 == 6 {
		headers = ipv6Header + tcpHeader
	}
	limit := min(max(mtu-headers, minimumMSS), maxPacket)
	value := findMSS(t)
	if value == 0 || int(binary.BigEndian.Uint16(t[value:])) <= limit {
		return false
	}
	before := binary.NativeEndian.Uint16(t[value:])
	binary.BigEndian.PutUint16(t[value:], uint16(limit))
	if !partial {
		replaceInSum(t[tcpChecksum:], before, binary.NativeEndian.Uint16(t[value:]), value%2 != 0)
	}
	return true
}

// findMSS returns the offset of the value of the MSS option in a TCP header, or 0.
func findMSS(t []byte) int {
	end := min(int(t[12]>>4)*4, len(t))
	for i := tcpHeader; i < end; {
		switch {
		case t[i] == optionEnd:
			return 0
		case t[i] == optionNoOp:
			i++
			continue
		case i+1 >= end || t[i+1] < 2 || i+int(t[i+1]) > end:
			return 0
		case t[i] == optionMSS && t[i+1] == mssLength:
			return i + 2
		}
		i += int(t[i+1])
	}
	return 0
}

// replaceInSum updates the checksum at the beginning of b after 16 bits of the data were
// replaced (RFC 1624). odd says that they began at an odd offset. Damage elsewhere in the
// data stays visible.
func replaceInSum(b []byte, before, after uint16, odd bool) {
	if odd {
		before, after = bits.ReverseBytes16(before), bits.ReverseBytes16(after)
	}
	old := binary.NativeEndian.Uint16(b)
	putSum(b, ^fold(uint64(^old)+uint64(^before)+uint64(after)))
}
