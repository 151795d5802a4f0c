package packet

import "golang.org/x/sys/cpu"

//go:generate go -C gen run . -out ../sum_amd64.s -stubs ../sum_amd64.go -pkg packet

var hasVectors = cpu.X86.HasAVX2

const (
	turnOfVectors = 64
	leastVectors  = 4 * turnOfVectors
)

// sumVectors adds what can be added in vectors, and returns what is left. b has
// leastVectors bytes, and less than a million.
func sumVectors(b []byte) (words uint64, rest []byte) {
	turns := len(b) / turnOfVectors
	added := sumAVX2(&b[0], turns)
	done := turns * turnOfVectors
	return uint64(added + int64(done/2)<<15), b[done:]
}
