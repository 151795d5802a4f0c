package packet

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

//go:generate go -C gen run . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

var hasVectors = cpu.X86.HasAVX2

const (
	turnOfVectors = 64
	leastVectors  = 4 * turnOfVectors
)

// sumVectors adds to ac what can be added in vectors, and returns what is left. b
// has leastVectors bytes, and less than a million.
func sumVectors(b []byte, ac uint64) (sum uint64, rest []byte) {
	turns := len(b) / turnOfVectors
	return add(ac, sumAVX2(&b[0], turns), turns), b[turns*turnOfVectors:]
}

// copySumVectors does the same and copies to dst, which has the length of src.
func copySumVectors(dst, src []byte, ac uint64) (sum uint64, restDst, restSrc []byte) {
	turns := len(src) / turnOfVectors
	n := turns * turnOfVectors
	return add(ac, copySumAVX2(&dst[0], &src[0], turns), turns), dst[n:], src[n:]
}

// add adds to ac the words of so many turns, each of which was added less 32768.
func add(ac uint64, added int64, turns int) uint64 {
	const words = turnOfVectors / 2
	ac, c := bits.Add64(ac, uint64(added+int64(turns)*words<<15), 0)
	return ac + c
}
