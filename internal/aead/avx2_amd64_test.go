package aead

import (
	"slices"
	"testing"
)

// The AVX2 kernel spreads the packets of a group over its lanes in another way
// for each number of them and for long texts, and does some groups in parts. So
// here is every length with every number of packets.
func TestEveryLengthOfEveryGroupByAVX2(t *testing.T) {
	if !hasAVX2() {
		t.Log("this processor has no AVX2, so the kernel is proved on the simulated one only")
		return
	}
	k := kernel{name: "AVX2", lanes: maxLanes, minPackets: 1, run: avx2}
	for length := range 2049 {
		for count := 1; count <= maxLanes; count++ {
			newFixture((5*length+count)%64, uint64(length)<<31, slices.Repeat([]int{length}, count)).prove(t, &k)
		}
	}
}
