package main

import (
	"math/bits"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// field51 is a field with five limbs of 51 bits, for AVX-512 IFMA, which
// multiplies 52 by 52 bits and adds the lower or the upper 52 bits of the product
// to a sum of 64 bits.
//
// The upper half of a product at limb k has the weight 2^(51k+52), which is 2 in
// limb k+1. A sum at limb 5+k is added at limb k, times 19.
type field51 struct {
	*build.Context
	sign operand.Mem
}

var vectors512 = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

var (
	lower51    = vectors512[0:9] // the sums, for each limb
	upper51    = vectors512[9:18]
	limb51     = vectors512[18:23]
	temps51    = vectors512[23:28]
	mask51     = vectors512[28]
	nineteen51 = vectors512[29]
	factor51   = vectors512[30]
	swapped    = reg.K1
)

const (
	limbs51  = 5
	vector51 = 64 // bytes
	width51  = 51 // bits
)

func newField51(c *build.Context) field {
	return &field51{Context: c, sign: table(c, "sign", 1<<63)}
}

func (f *field51) vector() int { return vector51 }

func (f *field51) input() []uint64 { return repeat(1<<width51-1, limbs51) }

func (f *field51) tight() (max []uint64) {
	max = repeat(1<<width51-1+1<<10, limbs51)
	max[0] += 1 << 14
	return max
}

func (f *field51) constants() {
	for _, c := range []struct {
		name  string
		value uint64
		to    reg.VecPhysical
	}{{"mask", 1<<width51 - 1, mask51}, {"nineteen", 19, nineteen51}, {"factor", 121666, factor51}, {"bias0", bias51(0), temps51[3]}, {"bias", bias51(1), temps51[4]}} {
		f.VPBROADCASTQ(table(f.Context, c.name, c.value), c.to)
	}
}

// bias51 returns limb i of 2p, which is added to a difference to keep its limbs
// from becoming negative.
func bias51(i int) uint64 {
	if i == 0 {
		return 2 * (1<<width51 - 19)
	}
	return 2 * (1<<width51 - 1)
}

// bias returns the register with limb i of 2p. No method uses it otherwise.
func (f *field51) bias(i int) reg.VecPhysical {
	if i == 0 {
		return temps51[3]
	}
	return temps51[4]
}

func (f *field51) at(x *number, limb int) operand.Mem { return x.at.Offset(vector51 * limb) }

func (f *field51) load(to *number, rows operand.Mem) {
	for i := range to.max {
		t := temps51[i%3]
		f.VMOVDQU64(rows.Offset(rowSize*i), t)
		f.VMOVDQA64(t, f.at(to, i))
	}
}

func (f *field51) store(x *number, rows operand.Mem) {
	for i := range limbs51 {
		t := temps51[i%3]
		f.VMOVDQA64(f.at(x, i), t)
		f.VMOVDQU64(t, rows.Offset(rowSize*i))
	}
}

func (f *field51) copy(to, x *number) {
	for i := range limbs51 {
		t := temps51[i%3]
		f.VMOVDQA64(f.at(x, i), t)
		f.VMOVDQA64(t, f.at(to, i))
	}
	to.max = x.max
}

func (f *field51) add(to, a, b *number) {
	max := make([]uint64, limbs51)
	for i, r := range lower51[:limbs51] {
		f.VMOVDQA64(f.at(a, i), r)
		f.VPADDQ(f.at(b, i), r, r)
		max[i] = a.max[i] + b.max[i]
	}
	f.carry(to, max)
}

func (f *field51) subtract(to, a, b *number) {
	max := make([]uint64, limbs51)
	for i, r := range lower51[:limbs51] {
		f.VPADDQ(f.at(a, i), f.bias(i), r)
		f.VPSUBQ(f.at(b, i), r, r)
		max[i] = a.max[i] + bias51(i)
		check("a subtrahend", b.max[i:i+1], []uint64{bias51(i)})
	}
	f.carry(to, max)
}

func (f *field51) prepare(*number) {}

// products51 are sums of products, and how large they can be.
type products51 struct {
	lower, upper [2*limbs51 - 1]uint64
}

// add adds a product to the sums of limb k. Both factors must have 52 bits.
func (p *products51) add(k int, a, b uint64) {
	check("a factor", []uint64{a, b}, []uint64{1<<52 - 1, 1<<52 - 1})
	hi, lo := bits.Mul64(a, b)
	p.upper[k] += hi<<12 | lo>>52
	p.lower[k] += 1<<52 - 1 // any product may end with ones
}

// accumulate adds the product of limb i of a number, in its register, and limb j
// of another one.
func (f *field51) accumulate(p *products51, a *number, i int, b *number, j int) {
	f.VPMADD52LUQ(f.at(b, j), limb51[i], lower51[i+j])
	f.VPMADD52HUQ(f.at(b, j), limb51[i], upper51[i+j])
	p.add(i+j, a.max[i], b.max[j])
}

// begin zeroes the sums and loads the limbs of a number.
func (f *field51) begin(a *number) {
	for i, r := range limb51 {
		f.VMOVDQA64(f.at(a, i), r)
	}
	for k := range lower51 {
		f.VPXORQ(lower51[k], lower51[k], lower51[k])
		f.VPXORQ(upper51[k], upper51[k], upper51[k])
	}
}

func (f *field51) multiply(to, a, b *number) {
	f.begin(a)
	var p products51
	for i := range limbs51 {
		for j := range limbs51 {
			f.accumulate(&p, a, i, b, j)
		}
	}
	f.reduce(to, &p)
}

// square adds the products of different limbs, doubles the sums, and then adds
// the squares of the limbs.
func (f *field51) square(to, a *number) {
	f.begin(a)
	var p products51
	for i := range limbs51 {
		for j := i + 1; j < limbs51; j++ {
			f.accumulate(&p, a, i, a, j)
		}
	}
	for k := 1; k < len(lower51)-1; k++ {
		f.VPADDQ(lower51[k], lower51[k], lower51[k])
		f.VPADDQ(upper51[k], upper51[k], upper51[k])
		p.lower[k] *= 2
		p.upper[k] *= 2
	}
	for i := range limbs51 {
		f.accumulate(&p, a, i, a, i)
	}
	f.reduce(to, &p)
}

// reduce adds the upper halves to the next limbs, and the limbs from 2^255 on to
// the lower ones.
func (f *field51) reduce(to *number, p *products51) {
	const count = 2 * limbs51
	var column [count]reg.VecPhysical
	var max [count]uint64
	for k := range count {
		switch k {
		case 0:
			column[k], max[k] = lower51[k], p.lower[k]
			continue
		case count - 1:
			f.VPADDQ(upper51[k-1], upper51[k-1], upper51[k-1])
			column[k], max[k] = upper51[k-1], 2*p.upper[k-1]
			continue
		}
		f.VPADDQ(upper51[k-1], upper51[k-1], upper51[k-1])
		f.VPADDQ(upper51[k-1], lower51[k], lower51[k])
		column[k], max[k] = lower51[k], p.lower[k]+2*p.upper[k-1]
	}
	for k := range limbs51 {
		r, x, t := column[k], column[k+limbs51], temps51[k%3]
		f.VPSLLQ(operand.Imm(4), x, t)
		f.VPADDQ(x, r, r)
		f.VPADDQ(x, x, x)
		f.VPADDQ(t, r, r)
		f.VPADDQ(x, r, r)
		over, times := bits.Mul64(max[k+limbs51], 19)
		sum, carry := bits.Add64(max[k], times, 0)
		if over != 0 || carry != 0 {
			panic("a sum of products overflows")
		}
		max[k] = sum
	}
	f.carry(to, max[:limbs51])
}

func (f *field51) multiplyAdd(to, e, b *number) {
	max := make([]uint64, limbs51)
	upper := make([]uint64, limbs51)
	for i := range limbs51 {
		f.VMOVDQA64(f.at(e, i), limb51[i])
		f.VMOVDQA64(f.at(b, i), lower51[i])
		f.VPXORQ(upper51[i], upper51[i], upper51[i])
		f.VPMADD52LUQ(factor51, limb51[i], lower51[i])
		f.VPMADD52HUQ(factor51, limb51[i], upper51[i])
		var p products51
		p.add(0, e.max[i], 121666)
		max[i], upper[i] = b.max[i]+p.lower[0], 2*p.upper[0]
	}
	for i := range limbs51 {
		f.VPADDQ(upper51[i], upper51[i], upper51[i])
		if i+1 < limbs51 {
			f.VPADDQ(upper51[i], lower51[i+1], lower51[i+1])
			max[i+1] += upper[i]
		} else {
			f.VPMADD52LUQ(nineteen51, upper51[i], lower51[0])
			max[0] += 19 * upper[i]
		}
	}
	f.carry(to, max)
}

// carry carries from all limbs of lower51 at the same time, and stores the limbs.
func (f *field51) carry(to *number, max []uint64) {
	up := upper51
	for i, r := range lower51[:limbs51] {
		f.VPSRLQ(operand.Imm(width51), r, up[i])
		f.VPANDQ(mask51, r, r)
	}
	to.max = make([]uint64, limbs51)
	for i := range limbs51 {
		above := lower51[(i+1)%limbs51]
		if i == limbs51-1 {
			f.VPMADD52LUQ(nineteen51, up[i], above)
			check("a carry", []uint64{19 * (max[i] >> width51)}, []uint64{1<<52 - 1})
			to.max[0] += 19 * (max[i] >> width51)
		} else {
			f.VPADDQ(up[i], above, above)
			to.max[i+1] += max[i] >> width51
		}
		to.max[i] += min(max[i], 1<<width51-1)
	}
	for i, r := range lower51[:limbs51] {
		f.VMOVDQA64(r, f.at(to, i))
	}
}

func (f *field51) nextSwap(words operand.Mem) {
	now := temps51[0]
	f.VMOVDQA64(words, now)
	f.VPCMPUQ_BCST(operand.Imm(5), f.sign, now, swapped) // at least
	f.VPADDQ(now, now, now)
	f.VMOVDQA64(now, words)
}

func (f *field51) choose(a, b *number) {
	max := make([]uint64, limbs51)
	for i := range limbs51 {
		t, u := limb51[i], temps51[i%3]
		f.VMOVDQA64(f.at(a, i), t)
		f.VMOVDQA64(f.at(b, i), u)
		f.VMOVDQA64(u, swapped, t)
		f.VMOVDQA64(t, f.at(a, i))
		max[i] = maxOf(a.max[i], b.max[i])
	}
	a.max = max
}

func (f *field51) clearRegisters() {
	for _, r := range vectors512 {
		f.VPXORQ(r, r, r)
	}
	f.XORL(steps.As32(), steps.As32())
	f.KMOVW(steps.As32(), swapped)
}
