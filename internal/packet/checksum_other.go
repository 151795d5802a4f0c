//go:build !amd64

package packet

const (
	hasVectors   = false
	leastVectors = 0
)

func sumVectors(b []byte) (words uint64, rest []byte) { return 0, b }
