package aead

import (
	"slices"
	"testing"
)

// The AVX2 kernel assigns the packets of a group to its lanes differently for
// each number of packets and for long texts, and processes some groups in
// parts. So this test tries every length with every number of packets.
func TestEveryLengthOfEveryGroupByAVX2(t *testing.T) {
	if !hasAVX2() {
		t.Log("this processor has no AVX2: the kernel is proved only on the simulated processor")
		return
	}
	k := kernel{name: "AVX2", lanes: maxLanes, minPackets: 1, run: avx2}
	for length := range 2049 {
		for count := 1; count <= maxLanes; count++ {
			newFixture(count, (5*length+count)%64, uint64(length)<<31, slices.Repeat([]int{length}, count)).prove(t, &k)
		}
	}
}
