//go:build !amd64

package packet

const (
	hasVectors   = false
	leastVectors = 0
)

func sumVectors(b []byte, ac uint64) (sum uint64, rest []byte) { return ac, b }

func copySumVectors(dst, src []byte, ac uint64) (sum uint64, restDst, restSrc []byte) {
	return ac, dst, src
}
