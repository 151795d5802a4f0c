package packet

import (
	"encoding/binary"
	"math/bits"
)

// Sums here are one's complement sums (RFC 1071) of 16-bit words in memory
// order. They do not depend on the byte order of the machine as long as only
// fold and word convert. While they are added up they have 64 bits.

// sum returns the sum of ac and b, which must begin at an even offset of the
// data that is summed.
func sum(b []byte, ac uint64) uint64 {
	var c uint64
	if len(b) >= minVectorBytes && hasVectors {
		return add64(ac, sumVectors(b))
	}
	for len(b) >= 64 {
		w := (*[64]byte)(b)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[0:8]), 0)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[8:16]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[16:24]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[24:32]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[32:40]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[40:48]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[48:56]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[56:64]), c)
		// With a carry the sum is at most 2^64-2, so this cannot carry again.
		ac += c
		b = b[64:]
	}
	if len(b) >= 32 {
		w := (*[32]byte)(b)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[0:8]), 0)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[8:16]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[16:24]), c)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[24:32]), c)
		ac += c
		b = b[32:]
	}
	if len(b) >= 16 {
		w := (*[16]byte)(b)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[0:8]), 0)
		ac, c = bits.Add64(ac, binary.NativeEndian.Uint64(w[8:16]), c)
		ac += c
		b = b[16:]
	}
	ac, c = bits.Add64(ac, sumShort(b), 0)
	return ac + c
}

// sumShort returns the sum of b, which has fewer than 16 bytes.
func sumShort(b []byte) uint64 {
	var ac, c uint64
	if len(b) >= 8 {
		ac = binary.NativeEndian.Uint64(b)
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(binary.NativeEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		rest += uint64(binary.NativeEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		rest += uint64(binary.NativeEndian.Uint16([]byte{b[0], 0}))
	}
	ac, c = bits.Add64(ac, rest, 0)
	return ac + c
}

// add64 returns the sum of two sums.
func add64(a, b uint64) uint64 {
	ac, c := bits.Add64(a, b, 0)
	return ac + c
}

// sumIPv4 returns the sum of an IPv4 header without options.
func sumIPv4(h *[ipv4Header]byte) uint64 {
	ac, c := bits.Add64(binary.NativeEndian.Uint64(h[0:8]), binary.NativeEndian.Uint64(h[8:16]), 0)
	ac, c = bits.Add64(ac, uint64(binary.NativeEndian.Uint32(h[16:20])), c)
	return ac + c
}

// fold reduces a sum to 16 bits. The result is zero only for a sum of zeros.
func fold(ac uint64) uint16 {
	// Add ac to itself with its halves exchanged: the upper half of the result
	// is the sum of both halves, including the carry out of the lower one.
	half := uint32((ac + bits.RotateLeft64(ac, 32)) >> 32)
	return uint16((half + bits.RotateLeft32(half, 16)) >> 16)
}

// valid reports whether ac, the sum of data that includes its own checksum, is
// that of intact data: fold(ac) == 0xffff. Folding preserves the remainder
// modulo 0xffff, and a sum of 0 is not possible unless everything is zero.
func valid(ac uint64) bool { return ac%0xffff == 0 }

// word returns what v, as a 16-bit word in a header, adds to a sum.
func word(v uint16) uint64 {
	b := [2]byte{byte(v >> 8), byte(v)}
	return uint64(binary.NativeEndian.Uint16(b[:]))
}

// words returns what the 16-bit words of v, written to a header, add to a sum.
// On a little-endian machine that is 256*v: it equals the sum of the words with
// their bytes exchanged, since 65536 counts as 1.
func words(v uint64) uint64 { return v * unit }

// unit is what a word of 1 in a header adds to a sum.
var unit = word(1)

// putSum writes a folded sum to the beginning of b.
func putSum(b []byte, s uint16) { binary.NativeEndian.PutUint16(b, s) }

// completeChecksum finishes the checksum at transport[field:], which holds the
// sum of the pseudo header.
func completeChecksum(transport []byte, field int) {
	putChecksum(transport, field, fold(sum(transport, 0)))
}

// putChecksum writes the complement of s as the checksum at transport[field:].
// In UDP, zero means "no checksum", so 0xffff is written instead.
func putChecksum(transport []byte, field int, s uint16) {
	s = ^s
	if s == 0 && field == udpChecksum {
		s = 0xffff
	}
	putSum(transport[field:], s)
}

// pseudoSum returns the sum of the pseudo header of an IP packet, without the
// transport length, which the caller adds.
func pseudoSum(ip []byte, protocol byte) uint64 {
	if ip[0]>>4 == 4 {
		return sum(ip[12:20], word(uint16(protocol)))
	}
	return sum(ip[8:40], word(uint16(protocol)))
}

// putIPv4Checksum writes the checksum of an IPv4 header, which may have
// options.
func putIPv4Checksum(header []byte) {
	header[10], header[11] = 0, 0
	putSum(header[10:], ^fold(sum(header, 0)))
}
