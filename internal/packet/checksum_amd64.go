package packet

import "golang.org/x/sys/cpu"

//go:generate go -C gen run . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

var hasVectors = cpu.X86.HasAVX2

// minVectorBytes is from how many bytes on vectors are faster.
const minVectorBytes = 128

// sumVectors is the sum of b, which has minVectorBytes bytes and less than a million.
func sumVectors(b []byte) uint64 { return sumAVX2(&b[0], len(b)) }

// copyPacketsVector is copyPackets for a size of minVectorBytes and more.
func copyPacketsVector(dst []byte, stride int, headers, payload []byte, size int, sums []uint64) {
	last := len(sums) - 1
	// What the assembly touches is there, or panic: it checks no bounds.
	_ = dst[last*stride:][:len(headers)+size]
	_ = payload[:len(sums)*size]
	_ = headers[:len(headers)+31]
	copyPacketsAVX2(&dst[0], stride, &headers[0], len(headers), &payload[0], size, &sums[0], len(sums))
}
