//go:build !amd64

package packet

const (
	hasVectors   = false
	leastVectors = 0
)

func sumVectors([]byte) uint64 { return 0 }

func layVectors([]byte, int, []byte, []byte, int, []uint64) {}
