package aead

// This file must not import anything: the generator of the kernels (gen) reads
// it for the layout of a group.

const (
	// maxLanes is the maximum number of packets that a kernel processes at
	// once.
	maxLanes = 8
	// scratchSize is the size of a kernel's scratch memory in bytes. The 63
	// bytes beyond a multiple of 64 let the kernel align it to a cache line.
	scratchSize = 9728 + 63
)

// A group is what a kernel processes at once: up to maxLanes packets whose
// texts have the same length, one in each lane. If there are fewer packets, the
// unused lanes repeat the offset and the counter of the first one. A kernel
// must therefore load a piece of the text of every lane before it stores that
// piece of any lane; then the lanes that repeat the first store the same as the
// first.
type group struct {
	offset  [maxLanes]uint64    // from base to the text, in bytes
	counter [maxLanes]uint64    // in the nonce
	key     [8]uint32           // of all lanes
	length  uint64              // of every text, in bytes, without the tag
	_       [3]uint64           // aligns tag to a cache line if the group is aligned
	tag     [2][maxLanes]uint64 // result: the lower and upper half of the tags, little-endian
	scratch [scratchSize]byte   // for the kernel; its contents do not matter before a run
}
