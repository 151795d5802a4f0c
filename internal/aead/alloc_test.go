//go:build !race

package aead

import "testing"

// Sealing and opening do not allocate, for valid and for forged packets.
func TestNoAllocations(t *testing.T) {
	k := newKey([KeySize]byte{1})
	buf, packets := layOut(make([]byte, 1420), make([]byte, 1420), make([]byte, 80))
	var bad [3]Packet
	if n := testing.AllocsPerRun(100, func() {
		k.Seal(buf, packets, 1)
		copy(bad[:], packets)
		if k.Open(buf, packets) != 0 || k.Open(buf, bad[:]) != 3 {
			t.Fatal("a sealed packet does not open, or a forged one does")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// The same for packets of several keys in one call.
func TestNoAllocationsOfParts(t *testing.T) {
	var parts [9]Part
	for i := range parts {
		buf, packets := layOut(make([]byte, 1420), make([]byte, 80))
		parts[i] = Part{newKey([KeySize]byte{byte(i)}), buf, packets}
	}
	if n := testing.AllocsPerRun(100, func() {
		Seal(parts[:])
		if Open(parts[:]) != 0 {
			t.Fatal("a sealed packet does not open")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
