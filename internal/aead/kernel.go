package aead

// kernel works on a group of packets at once. It reads and writes the memory
// from base+offset to base+offset+length of each lane and the group, no more.
type kernel struct {
	name string // for people
	// supported says whether the processor and the operating system have what
	// the kernel needs.
	supported func() bool
	lanes     int // packets in a group
	least     int // packets from which a group is faster than one after the other
	// run encrypts the texts in place, or decrypts them when open, and leaves in
	// work.tag the tags of the ciphertexts.
	run func(work *group, base *byte, open bool)
}

// chosen is the best kernel here; without a run, there is none and every packet
// is x/crypto's.
var chosen, chosenName = choose(kernels)

// Kernel names what seals and opens the packets of a batch.
func Kernel() string { return chosenName }

// choose takes the first kernel that is supported and right.
func choose(kernels []kernel) (chosen kernel, name string) {
	return kernel{}, "x/crypto"
}
