package aead

// This file imports nothing: the generator of the kernels (gen) reads it for
// the layout of a group.

const (
	// maxLanes is the most packets that any kernel works on at once.
	maxLanes = 8
	// scratchSize is room for what a kernel keeps in memory, in bytes. The 63
	// bytes more than a multiple of 64 let it begin where a cache line does.
	scratchSize = 9728 + 63
)

// group is what a kernel works on: up to maxLanes packets whose texts have the
// same length, one in each lane. A kernel fills all of its lanes; where there
// are fewer packets, the lanes left over repeat the first one, offset and
// counter alike. So a kernel loads a piece of the text of every lane before it
// stores that piece of any lane; then the lanes that repeat store what the first
// one stores.
type group struct {
	offset  [maxLanes]uint64    // from base to the text, in bytes
	counter [maxLanes]uint64    // in the nonce
	key     [8]uint32           // of all lanes
	length  uint64              // of every text, in bytes, without the tag
	_       [3]uint64           // tag begins where a cache line does if the group does
	tag     [2][maxLanes]uint64 // what comes out: the tag's lower and upper half, little-endian
	scratch [scratchSize]byte   // the kernel's; it may hold anything before and after
}
