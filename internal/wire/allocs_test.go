//go:build !race

package wire

import "testing"

// The data plane calls these functions for every datagram.
func TestAllocatesNothing(t *testing.T) {
	b, first := make([]byte, MinDataSize), counted(TypeInitiation, InitiationSize)
	n := testing.AllocsPerRun(100, func() {
		PutDataHeader(b, 1, 2)
		if kind, ok := TypeOf(b); !ok || kind != TypeData || DataIndex(b) != 1 || DataCounter(b) != 2 {
			t.Fatal("the header differs from what was written")
		}
		if m, ok := DecodeInitiation(first); !ok || m.Sender == 0 {
			t.Fatal("DecodeInitiation failed")
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
