package packet

import "golang.org/x/sys/cpu"

//go:generate go -C gen run . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

var hasVectors = cpu.X86.HasAVX2

// minVectorBytes is the length from which vector instructions are faster.
const minVectorBytes = 128

// sumVectors returns the sum of b, whose length is at least minVectorBytes and
// less than a million.
func sumVectors(b []byte) uint64 { return sumAVX2(&b[0], len(b)) }

// copyPacketsVector is copyPackets for a size of at least minVectorBytes.
func copyPacketsVector(dst []byte, stride int, headers, payload []byte, size int, sums []uint64) {
	last := len(sums) - 1
	// The assembly does not check bounds: panic here if anything is too short.
	_ = dst[last*stride:][:len(headers)+size]
	_ = payload[:len(sums)*size]
	_ = headers[:len(headers)+31]
	copyPacketsAVX2(&dst[0], stride, &headers[0], len(headers), &payload[0], size, &sums[0], len(sums))
}
