package packet

import "golang.org/x/sys/cpu"

//go:generate go -C gen run . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

var hasVectors = cpu.X86.HasAVX2

// leastVectors is from how many bytes on vectors are faster.
const leastVectors = 128

// sumVectors is the sum of b, which has leastVectors bytes and less than a million.
func sumVectors(b []byte) uint64 { return sumAVX2(&b[0], len(b)) }

// copySumVectors does the same and copies to dst, which has the length of src.
func copySumVectors(dst, src []byte) uint64 { return copySumAVX2(&dst[0], &src[0], len(src)) }
