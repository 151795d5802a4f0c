package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// field25 is a field with ten limbs of 26 and 25 bits in turn, for AVX2, which
// multiplies 32 by 32 bits. Limb i has the weight 2^(25.5·i), rounded up.
//
// So the product of two limbs with odd numbers i and j has twice the weight of
// limb i+j. A product at limb 10+i is added at limb i, times 19, because 2^255
// is 19. Sums and differences are not carried: the limbs of products are so
// small that the limbs of a sum or difference can still be multiplied.
type field25 struct {
	*build.Context
	masks, nineteen, smallFactor, bias0, bias1, bias2 operand.Mem
}

var (
	vectors256 = [16]reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	sum25    = vectors256[0:10] // the limbs of a sum of products
	limb25   = vectors256[10]
	double25 = vectors256[11]
	temps25  = vectors256[12:16]
)

const (
	limbs25  = 10
	vector25 = 32 // bytes
)

func newField25(c *build.Context) field {
	return &field25{
		Context:     c,
		masks:       table(c, "masks", append(repeat(1<<26-1, 4), repeat(1<<25-1, 4)...)...),
		nineteen:    table(c, "nineteen", repeat(19, 4)...),
		smallFactor: table(c, "factor", repeat(121666, 4)...),
		bias0:       table(c, "bias0", repeat(bias25(0), 4)...),
		bias1:       table(c, "bias1", repeat(bias25(1), 4)...),
		bias2:       table(c, "bias2", repeat(bias25(2), 4)...),
	}
}

// width25 returns how many bits limb i has.
func width25(i int) uint { return 26 - uint(i)%2 }

// bias25 returns limb i of 2p, which is added to a difference to keep its limbs
// from becoming negative.
func bias25(i int) uint64 {
	if i == 0 {
		return 2 * (1<<26 - 19)
	}
	return 2 * (1<<width25(i) - 1)
}

func (f *field25) bias(i int) operand.Mem {
	switch {
	case i == 0:
		return f.bias0
	case i%2 == 0:
		return f.bias2
	}
	return f.bias1
}

func (f *field25) mask(i int) operand.Mem { return f.masks.Offset(vector25 * (i % 2)) }

func (f *field25) vector() int { return vector25 }

func (f *field25) input() (max []uint64) {
	for i := range limbs25 {
		max = append(max, 1<<width25(i)-1)
	}
	return max
}

func (f *field25) tight() (max []uint64) {
	max = f.input()
	max[1] += 1 << 17
	max[5] += 1 << 15
	return max
}

func (f *field25) constants() {}

func (f *field25) at(x *number, limb int) operand.Mem { return x.at.Offset(vector25 * limb) }

// rowSize is the distance of two limbs in the group.
const rowSize = 64

func (f *field25) load(to *number, rows operand.Mem) {
	for i := range to.max {
		t := temps25[i%len(temps25)]
		f.VMOVDQU(rows.Offset(rowSize*i), t)
		f.VMOVDQA(t, f.at(to, i))
	}
}

func (f *field25) store(x *number, rows operand.Mem) {
	for i := range limbs25 {
		t := temps25[i%len(temps25)]
		f.VMOVDQA(f.at(x, i), t)
		f.VMOVDQU(t, rows.Offset(rowSize*i))
	}
}

func (f *field25) copy(to, x *number) {
	for i := range limbs25 {
		t := temps25[i%len(temps25)]
		f.VMOVDQA(f.at(x, i), t)
		f.VMOVDQA(t, f.at(to, i))
	}
	to.max = x.max
}

func (f *field25) add(to, a, b *number) {
	max := make([]uint64, limbs25)
	for i := range limbs25 {
		t := temps25[i%len(temps25)]
		f.VMOVDQA(f.at(a, i), t)
		f.VPADDQ(f.at(b, i), t, t)
		f.VMOVDQA(t, f.at(to, i))
		max[i] = a.max[i] + b.max[i]
	}
	to.max = max
}

func (f *field25) subtract(to, a, b *number) {
	max := make([]uint64, limbs25)
	for i := range limbs25 {
		t := temps25[i%len(temps25)]
		f.VMOVDQA(f.at(a, i), t)
		f.VPADDQ(f.bias(i), t, t)
		f.VPSUBQ(f.at(b, i), t, t)
		f.VMOVDQA(t, f.at(to, i))
		max[i] = a.max[i] + bias25(i)
		check("a subtrahend", b.max[i:i+1], []uint64{bias25(i)})
	}
	to.max = max
}

// A sum25 records how large the limbs of a sum of products can be.
type sum25Max [limbs25]uint64

// add adds a product to limb k. Both factors must have 32 bits.
func (m *sum25Max) add(k int, a, b uint64) {
	check("a factor", []uint64{a, b}, []uint64{1<<32 - 1, 1<<32 - 1})
	sum, carry := bits.Add64(m[k], a*b, 0)
	if carry != 0 {
		panic("a sum of products overflows")
	}
	m[k] = sum
}

// prepare stores 19 times the limbs of b.
func (f *field25) prepare(b *number) {
	f.times19(b, func(i int) operand.Mem { return b.prepared.Offset(vector25 * i) })
}

func (f *field25) times19(b *number, to func(limb int) operand.Mem) {
	factor := temps25[3]
	f.VMOVDQA(f.nineteen, factor)
	for i := 1; i < limbs25; i++ {
		t := temps25[i%3]
		f.VPMULUDQ(f.at(b, i), factor, t)
		f.VMOVDQA(t, to(i))
	}
}

func (f *field25) multiply(to, a, b *number) {
	times19 := func(i int) operand.Mem { return spare(i, vector25) }
	if b.prepared != nil {
		times19 = func(i int) operand.Mem { return b.prepared.Offset(vector25 * i) }
	} else {
		f.times19(b, times19)
	}
	var max sum25Max
	next := 0
	for i := range limbs25 {
		f.VMOVDQA(f.at(a, i), limb25)
		if i%2 == 1 {
			f.VPADDQ(limb25, limb25, double25)
		}
		for j := range limbs25 {
			x, xMax, y, yMax := limb25, a.max[i], f.at(b, j), b.max[j]
			if i%2 == 1 && j%2 == 1 {
				x, xMax = double25, 2*xMax
			}
			if i+j >= limbs25 {
				y, yMax = times19(j), 19*yMax
			}
			k := (i + j) % limbs25
			max.add(k, xMax, yMax)
			f.product(x, y, k, i == 0, &next)
		}
	}
	f.carry(to, &max)
}

// product adds a product to limb k of the sum, or begins it.
func (f *field25) product(x reg.VecPhysical, y operand.Mem, k int, begin bool, next *int) {
	if begin {
		f.VPMULUDQ(y, x, sum25[k])
		return
	}
	t := temps25[*next%len(temps25)]
	*next++
	f.VPMULUDQ(y, x, t)
	f.VPADDQ(t, sum25[k], sum25[k])
}

// square multiplies each pair of limbs once. A pair of different limbs counts
// twice.
func (f *field25) square(to, a *number) {
	times := func(j int) uint64 { return 19 * (1 + uint64(j)%2) }
	factor, twice := temps25[2], temps25[3]
	f.VMOVDQA(f.nineteen, factor)
	f.VPADDQ(factor, factor, twice)
	for j := 5; j < limbs25; j++ {
		t := temps25[j%2]
		f.VPMULUDQ(f.at(a, j), []reg.VecPhysical{factor, twice}[j%2], t)
		f.VMOVDQA(t, spare(j, vector25))
	}
	var max sum25Max
	next := 0
	fourfold := double25 // of limbs 1 and 3, before they are needed twice
	for i := range limbs25 {
		f.VMOVDQA(f.at(a, i), limb25)
		for _, pass := range []uint64{1, 4, 2} {
			switch pass {
			case 2:
				f.VPADDQ(limb25, limb25, double25)
			case 4:
				if i != 1 && i != 3 {
					continue
				}
				f.VPADDQ(limb25, limb25, fourfold)
				f.VPADDQ(fourfold, fourfold, fourfold)
			}
			for j := i; j < limbs25; j++ {
				y, yMax, need := f.at(a, j), a.max[j], uint64(1)
				if i+j >= limbs25 {
					y, yMax = spare(j, vector25), times(j)*a.max[j]
				}
				if i != j {
					need *= 2
				}
				if i%2 == 1 && j%2 == 1 {
					need *= 2
				}
				if i+j >= limbs25 && j%2 == 1 {
					need /= 2
				}
				if need != pass {
					continue
				}
				x := double25
				if pass == 1 {
					x = limb25
				}
				k := (i + j) % limbs25
				max.add(k, pass*a.max[i], yMax)
				f.product(x, y, k, i == 0, &next)
			}
		}
	}
	f.carry(to, &max)
}

func (f *field25) multiplyAdd(to, e, b *number) {
	factor := temps25[0]
	f.VMOVDQA(f.smallFactor, factor)
	var max sum25Max
	for i := range limbs25 {
		f.VPMULUDQ(f.at(e, i), factor, sum25[i])
		f.VPADDQ(f.at(b, i), sum25[i], sum25[i])
		max[i] = b.max[i]
		max.add(i, e.max[i], 121666)
	}
	f.carry(to, &max)
}

// carry carries from limb 0 and from limb 4 at the same time, and stores the
// limbs.
func (f *field25) carry(to *number, max *sum25Max) {
	left := map[int]int{} // how often a limb is still changed
	order := []int{0, 4, 1, 5, 2, 6, 3, 7, 4, 8, 9, 0}
	for _, i := range order {
		left[i]++
		left[(i+1)%limbs25]++
	}
	next := 0
	done := func(i int) {
		if left[i]--; left[i] == 0 {
			f.VMOVDQA(sum25[i], f.at(to, i))
		}
	}
	for _, i := range order {
		up, t := temps25[next%2], temps25[2+next%2]
		next++
		above := (i + 1) % limbs25
		f.VPSRLQ(operand.U8(uint8(width25(i))), sum25[i], up)
		f.VPAND(f.mask(i), sum25[i], sum25[i])
		carried := max[i] >> width25(i)
		if above == 0 {
			f.VPSLLQ(operand.Imm(4), up, t)
			f.VPADDQ(up, sum25[0], sum25[0])
			f.VPADDQ(up, up, up)
			f.VPADDQ(t, sum25[0], sum25[0])
			carried *= 19
		}
		f.VPADDQ(up, sum25[above], sum25[above])
		max[i] = min(max[i], 1<<width25(i)-1)
		sum, over := bits.Add64(max[above], carried, 0)
		if over != 0 {
			panic("a carry overflows")
		}
		max[above] = sum
		done(i)
		done(above)
	}
	to.max = append([]uint64{}, max[:]...)
}

func (f *field25) nextSwap(words operand.Mem) {
	now, bit, mask := temps25[0], temps25[1], temps25[3]
	f.VMOVDQA(words, now)
	f.VPSRLQ(operand.Imm(63), now, bit)
	f.VPXOR(mask, mask, mask)
	f.VPSUBQ(bit, mask, mask)
	f.VPADDQ(now, now, now)
	f.VMOVDQA(now, words)
}

func (f *field25) choose(a, b *number) {
	max := make([]uint64, limbs25)
	for i := range limbs25 {
		t := temps25[i%3]
		f.VMOVDQA(f.at(a, i), t)
		f.VPBLENDVB(temps25[3], f.at(b, i), t, t)
		f.VMOVDQA(t, f.at(a, i))
		max[i] = maxOf(a.max[i], b.max[i])
	}
	a.max = max
}

func (f *field25) clearRegisters() {
	for _, r := range vectors256 {
		f.VPXOR(r, r, r)
	}
}

func maxOf(a, b uint64) uint64 { return max(a, b) }
