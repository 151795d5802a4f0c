package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// limbs44 is a poly512 with limbs of 44, 44 and 42 bits, for AVX-512 IFMA,
// which multiplies 52 by 52 bits and adds the lower or the upper 52 bits of the
// product to a sum of 64 bits.
//
// The upper half of a product in limb j has the weight 2^(44j+52), which is 2^8
// in limb j+1; in the last limb it has the weight 2^140, which is 5·2^10 in
// limb 0. A product of limbs i and j with i+j = 3 has the weight 2^132, which
// is 20 in limb 0: a power is stored as its limbs r0 to r2 and, as s1 and s2,
// twenty times r1 and r2.
type limbs44 struct{ limbs512 }

var (
	lower44, upper44 = z[23:26], z[26:29] // the sums, in limbs
	spare44          = z[31]
)

func newLimbs44(c *build.Context) poly512 {
	mask, last := z[29], z[30]
	return &limbs44{limbs512{c, []uint8{44, 44, 42}, []reg.VecPhysical{mask, mask, last}, table(c, "top", 0, 1<<(128-2*44-32))}}
}

func (p *limbs44) powerSize(int) int { return 5 * 64 }

func (p *limbs44) constants() {
	p.ones(p.mask[0])
	p.VPSRLQ(operand.Imm(64-42), p.mask[0], p.mask[2])
	p.VPSRLQ(operand.Imm(64-44), p.mask[0], p.mask[0])
}

// split splits a block. Limb 1 has bits of both lo and hi.
func (p *limbs44) split(lo, hi reg.VecPhysical, m []reg.VecPhysical) {
	t := spare44
	p.VPANDQ(p.mask[0], lo, m[0])
	p.VPSRLQ(operand.Imm(44), lo, m[1])
	p.VPSLLQ(operand.Imm(64-44), hi, t)
	p.VPTERNLOGQ(orThenAnd, p.mask[1], t, m[1])
	p.VPSRLQ(operand.Imm(2*44-64), hi, m[2])
}

func (p *limbs44) storePower(r []reg.VecPhysical, power operand.Mem) {
	for i, limb := range r {
		p.VMOVDQA64(limb, power.Offset(64*i))
		if i > 0 {
			s, t := spare512[0], spare512[1]
			p.VPSLLQ(operand.Imm(2), limb, s)
			p.VPSLLQ(operand.Imm(4), limb, t)
			p.VPADDQ(t, s, s)
			p.VMOVDQA64(s, power.Offset(64*(2+i)))
		}
	}
}

func (p *limbs44) multiply(m []reg.VecPhysical, power operand.Mem, begin bool) {
	if begin {
		for j := range lower44 {
			p.VPXORQ(lower44[j], lower44[j], lower44[j])
			p.VPXORQ(upper44[j], upper44[j], upper44[j])
		}
	}
	for i, limb := range m {
		for j := range lower44 {
			factor := power.Offset(64 * (j - i)) // r[j-i]
			if i > j {
				factor = power.Offset(64 * (2 + 3 + j - i)) // s[3+j-i]
			}
			p.VPMADD52LUQ(factor, limb, lower44[j])
			p.VPMADD52HUQ(factor, limb, upper44[j])
		}
	}
}

// storeFactors does nothing: addBlocks needs only the powers.
func (p *limbs44) storeFactors([4]operand.Mem) {}

func (p *limbs44) addBlocks(row operand.Mem, powers [4]operand.Mem) {
	m := number[:p.limbs()]
	for i := 1; i < 4; i++ {
		p.VMOVDQA64(row.Offset(blockSize*i), lower)
		p.VMOVDQA64(row.Offset(blockSize*i+64), upper)
		p.split(lower, upper, m)
		p.setTopBit(m)
		p.multiply(m, powers[3-i], false)
	}
}

// carry carries through all limbs. Afterwards limb 1 may exceed 44 bits by up
// to 2^8.
func (p *limbs44) carry(h []reg.VecPhysical) {
	d, up := lower44, upper44
	for j := range 2 {
		p.VPSLLQ(operand.Imm(8), up[j], up[j])
		p.VPADDQ(up[j], d[j+1], d[j+1])
	}
	p.VPSLLQ(operand.Imm(10), up[2], up[2])
	p.carryLimb(0, d[0], d[1], h[0])
	p.carryLimb(1, d[1], d[2], h[1])
	p.carryLimb(2, d[2], up[2], h[2])
	p.addTimes5(up[2], h[0])
	p.carryLimb(0, h[0], h[1], h[0])
}

func (p *limbs44) finish(h []reg.VecPhysical, lo, hi reg.VecPhysical) {
	p.reduce(h)
	p.Comment("44 and 20 bits; 24 and 40 bits.")
	t := spare512[0]
	p.VPSLLQ(operand.Imm(44), h[1], lo)
	p.VPORQ(h[0], lo, lo)
	p.VPSRLQ(operand.Imm(64-44), h[1], hi)
	p.VPSLLQ(operand.Imm(2*44-64), h[2], t)
	p.VPORQ(t, hi, hi)
}
