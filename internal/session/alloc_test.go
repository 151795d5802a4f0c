//go:build !race

package session_test

import "testing"

// Sealing, opening and accepting a batch allocates nothing.
func TestAllocatesNothing(t *testing.T) {
	a, b := pair()
	buf, packets := layOut(45, make([]byte, 1420))
	if n := testing.AllocsPerRun(50, func() {
		first, _ := a.Reserve(len(packets))
		if !a.Usable(created) || !a.Seal(buf, packets, first) || b.Open(buf, packets) != 0 || b.Accept(buf, packets) != 0 {
			t.Fatal("the batch was not sealed, opened and accepted")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkReserve(b *testing.B) {
	k, _ := pair()
	for b.Loop() {
		k.Reserve(45)
	}
}
