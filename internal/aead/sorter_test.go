package aead

import "testing"

// A35: a sorter that is put back into the pool contains no tags and nothing that
// a kernel left, and refers to no keys and buffers: it would keep them in memory.
func TestSorterForgets(t *testing.T) {
	kern := kernel{name: "slow", lanes: 4, minPackets: 2, dirty: 99, run: func(work *group, open bool) {
		slowKernel(work, open)
		copy(work.scratch[:99], random(99))
	}}
	var texts [][]byte
	for i := range 19 {
		texts = append(texts, random(i%6*10)) // more lengths than buckets
	}
	buf, packets := layOut(texts...)
	parts := []Part{{newKey([KeySize]byte{1}), buf, packets[:7]}, {newKey([KeySize]byte{2}), buf, packets[7:]}}
	for _, open := range []bool{false, true} {
		s := new(sorter)
		if s.process(&kern, parts, open) != 0 {
			t.Fatal("a sealed packet does not open")
		}
		if s.work.tag != [2][maxLanes]uint64{} || !zero(s.work.scratch[:]) {
			t.Errorf("open %v: the sorter contains tags, or what the kernel left", open)
		}
		if s.buckets != [4]bucket{} || s.work.text != [maxLanes]*byte{} || s.work.key != [maxLanes]*[KeySize]byte{} {
			t.Errorf("open %v: the sorter refers to keys or buffers", open)
		}
	}
}
