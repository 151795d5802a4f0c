package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// limbs26 is a poly512 with five limbs of 26 bits. A sum can hold twenty
// products of limbs, multiplied as 32 by 32 bits.
//
// 2^130 is 5, so a part of a product above that is added at the bottom, times
// five: a power is stored as its limbs r0 to r4 and, as s1 to s4, five times r1
// to r4.
//
// A block that is not added to the hash need not be split into limbs. Its words
// of 32 bits, w0 to w3, can be multiplied directly, once the upper ones are
// shifted down; and
//
//	w·r = w0·r + w1·(2^32·r) + w2·(2^64·r) + w3·(2^96·r) + 2^128·r
//
// needs 20 products instead of 25 if these multiples of r are stored as limbs,
// too. The last term, for the bit above the block, is the same for all rows.
type limbs26 struct{ limbs512 }

var (
	sum26     = z[23:28]
	product26 = z[29:32]
)

func newLimbs26(c *build.Context) poly512 {
	mask := z[28]
	return &limbs26{limbs512{c, []uint8{26, 26, 26, 26, 26}, []reg.VecPhysical{mask, mask, mask, mask, mask}, table(c, "top", 1<<(128-4*26), 0)}}
}

// The layout of a stored power, in vectors: its limbs, then s1 to s4, then the
// limbs of the multiples. For r, the sum of the last terms follows.
const (
	factors26   = 9
	multiples26 = 3 * 5
	tops26      = factors26 + multiples26
)

func (p *limbs26) powerSize(i int) int {
	return 64 * [4]int{factors26 + multiples26 + 5, factors26 + multiples26, factors26 + multiples26, factors26}[i]
}

func (p *limbs26) constants() {
	p.ones(p.mask[0])
	p.VPSRLQ(operand.Imm(64-26), p.mask[0], p.mask[0])
}

// shifted26 returns limb j of 2^26k times a power.
func shifted26(power operand.Mem, j, k int) operand.Mem {
	if j >= k {
		return power.Offset(64 * (j - k)) // r[j-k]
	}
	return power.Offset(64 * (4 + 5 + j - k)) // s[5+j-k]
}

// split splits a block. Limb 2 has bits of both lo and hi.
func (p *limbs26) split(lo, hi reg.VecPhysical, m []reg.VecPhysical) {
	mask, t := p.mask[0], product26[0]
	p.VPANDQ(mask, lo, m[0])
	p.VPSRLQ(operand.Imm(26), lo, m[1])
	p.VPANDQ(mask, m[1], m[1])
	p.VPSRLQ(operand.Imm(2*26), lo, m[2])
	p.VPSLLQ(operand.Imm(64-2*26), hi, t)
	p.VPTERNLOGQ(orThenAnd, mask, t, m[2])
	p.VPSRLQ(operand.Imm(3*26-64), hi, m[3])
	p.VPANDQ(mask, m[3], m[3])
	p.VPSRLQ(operand.Imm(4*26-64), hi, m[4])
}

func (p *limbs26) storePower(r []reg.VecPhysical, power operand.Mem) {
	for i, limb := range r {
		p.VMOVDQA64(limb, power.Offset(64*i))
		if i > 0 {
			s := product26[0]
			p.VPSLLQ(operand.Imm(2), limb, s)
			p.VPADDQ(limb, s, s)
			p.VMOVDQA64(s, power.Offset(64*(4+i)))
		}
	}
}

func (p *limbs26) multiply(m []reg.VecPhysical, power operand.Mem, begin bool) {
	for i, limb := range m {
		for j, d := range sum26 {
			factor := shifted26(power, j, i)
			if begin && i == 0 {
				p.VPMULUDQ(factor, limb, d)
				continue
			}
			t := product26[(i+j)%len(product26)]
			p.VPMULUDQ(factor, limb, t)
			p.VPADDQ(t, d, d)
		}
	}
}

// storeFactors computes the multiples with 2^32k = 2^26k·2^6k.
func (p *limbs26) storeFactors(powers [4]operand.Mem) {
	d := sum26
	for _, power := range powers[:3] {
		for k := 1; k < 4; k++ {
			for j := range d {
				p.VPSLLQ(operand.U8(6*k), shifted26(power, j, k), d[j])
			}
			p.carryParallel(d)
			for j, limb := range d {
				p.VMOVDQA64(limb, power.Offset(64*(factors26+5*(k-1)+j)))
			}
		}
	}
	p.Comment("The bits above the blocks: 2^128 = 2^(4·26)·2^24.")
	for j, limb := range d {
		p.VMOVDQA64(shifted26(powers[0], j, 4), limb)
		p.VPADDQ(shifted26(powers[1], j, 4), limb, limb)
		p.VPADDQ(shifted26(powers[2], j, 4), limb, limb)
		p.VPSLLQ(operand.Imm(24), limb, limb)
		p.VMOVDQA64(limb, powers[0].Offset(64*(tops26+j)))
	}
}

// carryParallel carries from each limb to the next, before it receives a carry
// itself: it reduces limbs of 47 bits to less than 27 bits.
func (p *limbs26) carryParallel(d []reg.VecPhysical) {
	for j := 3; j >= 0; j-- {
		p.carryLimb(j, d[j], d[j+1], d[j])
	}
	p.carryAround(d[4], d[4], d[0])
}

// addBlocks adds twelve products of words, of 59 bits, to a sum below 2^58, so
// that the result is below 2^63.
func (p *limbs26) addBlocks(row operand.Mem, powers [4]operand.Mem) {
	for j, limb := range sum26 {
		p.VPADDQ(powers[0].Offset(64*(tops26+j)), limb, limb)
	}
	words := number[:4]
	for i := 1; i < 4; i++ {
		for half := range 2 {
			p.VMOVDQA64(row.Offset(blockSize*i+64*half), words[2*half])
			p.VPSRLQ(operand.Imm(32), words[2*half], words[2*half+1])
		}
		factors := [4]operand.Mem{powers[3-i]}
		for k := 1; k < 4; k++ {
			factors[k] = powers[3-i].Offset(64 * (factors26 + 5*(k-1)))
		}
		p.addProducts(words, factors)
	}
}

// addProducts adds the product of each word and a number in memory to the sum.
func (p *limbs26) addProducts(words []reg.VecPhysical, factors [4]operand.Mem) {
	for k, word := range words {
		for j, d := range sum26 {
			t := product26[(k+j)%len(product26)]
			p.VPMULUDQ(factors[k].Offset(64*j), word, t)
			p.VPADDQ(t, d, d)
		}
	}
}

// carry carries from limb 0 and from limb 3 in parallel. Afterwards limbs 1 and
// 4 may exceed 26 bits by up to 2^13.
func (p *limbs26) carry(h []reg.VecPhysical) {
	d := sum26
	p.carryLimb(0, d[0], d[1], h[0])
	p.carryLimb(3, d[3], d[4], h[3])
	p.carryLimb(1, d[1], d[2], h[1])
	p.carryAround(d[4], h[4], h[0])
	p.carryLimb(2, d[2], h[3], h[2])
	p.carryLimb(0, h[0], h[1], h[0])
	p.carryLimb(3, h[3], h[4], h[3])
}

func (p *limbs26) finish(h []reg.VecPhysical, lo, hi reg.VecPhysical) {
	p.reduce(h)
	p.Comment("26, 26 and 12 bits; 14, 26 and 24 bits.")
	t := product26[0]
	p.VPSLLQ(operand.Imm(26), h[1], lo)
	p.VPORQ(h[0], lo, lo)
	p.VPSLLQ(operand.Imm(2*26), h[2], t)
	p.VPORQ(t, lo, lo)
	p.VPSRLQ(operand.Imm(64-2*26), h[2], hi)
	p.VPSLLQ(operand.Imm(3*26-64), h[3], t)
	p.VPORQ(t, hi, hi)
	p.VPSLLQ(operand.Imm(4*26-64), h[4], t)
	p.VPORQ(t, hi, hi)
}
