package x25519

import (
	"math/big"
	"slices"
	"testing"
)

// widths are those of all kernels.
var widths = [][]uint{{51, 51, 51, 51, 51}, {26, 25, 26, 25, 26, 25, 26, 25, 26, 25}}

// numberOf returns the number with these limbs.
func numberOf(widths []uint, limb func(i int) uint64) *big.Int {
	x, at := new(big.Int), uint(0)
	for i, width := range widths {
		x.Add(x, new(big.Int).Lsh(new(big.Int).SetUint64(limb(i)), at))
		at += width
	}
	return x
}

func decoded(b [Size]byte) *big.Int {
	slices.Reverse(b[:])
	return new(big.Int).SetBytes(b[:])
}

// A coordinate is split into limbs without its highest bit.
func TestSetPoint(t *testing.T) {
	for _, widths := range widths {
		for _, b := range slices.Concat(edges(), notReduced(), lowOrder(t)) {
			g := new(group)
			g.setPoint(5, widths, &b)
			for i, width := range widths {
				if g.point[i][5]>>width != 0 {
					t.Fatalf("%x: limb %d of %x has more than %d bits", b, i, g.point[i][5], width)
				}
			}
			b[Size-1] &= 0x7f
			if got, want := numberOf(widths, func(i int) uint64 { return g.point[i][5] }), decoded(b); got.Cmp(want) != 0 {
				t.Fatalf("limbs of %d bits: got %x, want %x", widths[0], got, want)
			}
		}
	}
}

// A product is reduced modulo p, also if its limbs have a few more bits than their
// widths, and zero is an error.
func TestTakeProduct(t *testing.T) {
	for _, widths := range widths {
		for _, b := range slices.Concat(edges(), notReduced(), lowOrder(t)) {
			for _, more := range []uint64{0, 1, 1 << 14} {
				g := new(group)
				g.setPoint(3, widths, &b)
				for i := range widths[:len(widths)-1] {
					g.product[i][3] = g.point[i][3] + more
				}
				g.product[len(widths)-1][3] = g.point[len(widths)-1][3] + min(more, 1<<10)
				x := numberOf(widths, func(i int) uint64 { return g.product[i][3] })
				want := encoded(x.Mod(x, prime))
				got := [Size]byte{}
				if err := g.takeProduct(3, widths, &got); got != want || (err != nil) != (x.Sign() == 0) {
					t.Fatalf("limbs of %d bits, %x and %d more: got %x, %v; want %x", widths[0], b, more, got, err, want)
				}
			}
		}
	}
}

// The swaps are the differences of successive bits of the clamped scalar, from bit
// 254 down.
func TestSetScalar(t *testing.T) {
	for _, b := range edges() {
		g := new(group)
		g.setScalar(6, &b)
		b[0] &= 0xf8
		b[31] = b[31]&0x7f | 0x40
		x, before := decoded(b), uint(0)
		for step := range 255 {
			bit := x.Bit(254 - step)
			got := uint(g.swap[3-step/64][6] >> (63 - step%64) & 1)
			if got != bit^before {
				t.Fatalf("%x, step %d: got %d, want %d", b, step, got, bit^before)
			}
			before = bit
		}
		if before != 0 {
			t.Fatal("the points are swapped after the last step")
		}
	}
}
