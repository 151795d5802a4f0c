package aead

import "testing"

// A sorter that is put back into the pool refers to no keys and buffers: it
// would keep them in memory.
func TestSorterForgets(t *testing.T) {
	kern := kernel{name: "slow", lanes: 4, minPackets: 2, run: slowKernel}
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
		s.work.erase(&kern)
		if s.buckets != [4]bucket{} || s.work.text != [maxLanes]*byte{} || s.work.key != [maxLanes]*[KeySize]byte{} {
			t.Errorf("open %v: the sorter refers to keys or buffers", open)
		}
	}
}
