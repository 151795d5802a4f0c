//go:build !amd64

package packet

const (
	hasVectors     = false
	minVectorBytes = 0
)

func sumVectors([]byte) uint64 { return 0 }

func copyPacketsVector([]byte, int, []byte, []byte, int, []uint64) {}
