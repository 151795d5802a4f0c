package aead

// This file must not import anything: the generator of the kernels (gen) reads
// it for the layout of a group.

const (
	// maxLanes is the maximum number of packets that a kernel processes at
	// once.
	maxLanes = 8
	// scratchSize is the size of a kernel's scratch memory in bytes. The 63
	// bytes beyond a multiple of 64 let the kernel align it to a cache line.
	scratchSize = 10240 + 63
)

// A group is what a kernel processes at once: up to maxLanes packets whose
// texts have the same length, one in each lane. Each has a key of its own; the
// same key may be in several lanes. If there are fewer packets, the unused lanes
// repeat the text, the key and the counter of the first one. A kernel must
// therefore load a piece of the text of every lane before it stores that piece
// of any lane; then the lanes that repeat the first store the same as the first.
type group struct {
	text    [maxLanes]*byte     // where it begins
	key     [maxLanes]*[32]byte // kernels only read it
	counter [maxLanes]uint64    // in the nonce
	length  uint64              // of every text, in bytes, without the tag
	packets uint64              // how many, in the first lanes; at least 1
	tag     [2][maxLanes]uint64 // result: the lower and upper half of the tags, little-endian
	scratch [scratchSize]byte   // for the kernel; its contents do not matter before a run
}
