//go:build !race

package session_test

import (
	"testing"

	"wgd/internal/session"
)

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

// Nor does it for batches of several keypairs, from the first call on.
func TestPartsAllocateNothing(t *testing.T) {
	const count = 10
	var from, to [count]*session.Keypair
	for i := range from {
		from[i], to[i] = numbered(byte(i))
	}
	buf, packets := layOut(count, make([]byte, 1420))
	var fresh []*session.Parts
	for range 52 {
		fresh = append(fresh, session.NewParts(count))
	}
	round := uint64(0)
	if n := testing.AllocsPerRun(50, func() {
		parts := fresh[round]
		for i := range packets {
			parts.Add(from[i], buf, packets[i:i+1], round)
		}
		for _, sealed := range parts.Seal() {
			if !sealed {
				t.Fatal("a part was not sealed")
			}
		}
		for i := range packets {
			parts.Add(to[i], buf, packets[i:i+1], 0)
		}
		if parts.Open() != 0 {
			t.Fatal("a packet was not opened")
		}
		round++
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
