package x25519

// This file must not import anything: the generator of the kernels (gen) reads
// it for the layout of a group.

const (
	// maxLanes is the maximum number of products that a kernel computes at
	// once.
	maxLanes = 8
	// maxLimbs is the maximum number of limbs of a coordinate.
	maxLimbs = 10
	// scratchSize is the size of a kernel's scratch memory in bytes. The 63
	// bytes beyond a multiple of 64 let the kernel align it to a cache line.
	scratchSize = 8064 + 63
)

// A group is what a kernel computes at once: up to maxLanes products, one in
// each lane. A kernel with fewer lanes uses the first ones.
type group struct {
	// swap has one bit for each of the 255 steps of the ladder, the first step
	// in the highest bit of the last word: whether the bit of the scalar
	// differs from the one before.
	swap    [4][maxLanes]uint64
	point   [maxLimbs][maxLanes]uint64 // the coordinates, in limbs
	product [maxLimbs][maxLanes]uint64 // result, in limbs, not reduced completely
	scratch [scratchSize]byte          // for the kernel; its contents do not matter before a run
}
