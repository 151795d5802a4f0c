package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// limbs26 is poly512 with five limbs of 26 bits, whose products of 32 by 32 bits
// leave room for twenty of them in a sum.
//
// 2^130 is 5, so what a product has above that is five times as much below: a
// power is stored as its limbs r0 to r4 and, as s1 to s4, five times r1 to r4.
type limbs26 struct{ limbs512 }

var (
	sum26     = z[16:21]
	product26 = z[21:24]
)

func newLimbs26(c *build.Context) poly512 {
	mask, top := z[24], z[25]
	return &limbs26{limbs512{c, []uint8{26, 26, 26, 26, 26}, []reg.VecPhysical{mask, mask, mask, mask, mask}, top}}
}

func (p *limbs26) powerSize() int { return 9 * 64 }

func (p *limbs26) constants() {
	p.ones(p.mask[0])
	p.VPSRLQ(operand.Imm(63), p.mask[0], p.top)
	p.VPSLLQ(operand.Imm(128-4*26), p.top, p.top)
	p.VPSRLQ(operand.Imm(64-26), p.mask[0], p.mask[0])
}

// split: limb 2 begins in lo and ends in hi.
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

func (p *limbs26) keep(r []reg.VecPhysical, power operand.Mem) {
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
			factor := power.Offset(64 * (j - i)) // r[j-i]
			if i > j {
				factor = power.Offset(64 * (4 + 5 + j - i)) // s[5+j-i]
			}
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

// carry goes two ways at once, from limb 0 and from limb 3, and leaves limbs 1
// and 4 up to 2^10 above 26 bits.
func (p *limbs26) carry(h []reg.VecPhysical) {
	d := sum26
	p.pass(0, d[0], d[1], h[0])
	p.pass(3, d[3], d[4], h[3])
	p.pass(1, d[1], d[2], h[1])
	p.passAround(d[4], h[4], h[0])
	p.pass(2, d[2], h[3], h[2])
	p.pass(0, h[0], h[1], h[0])
	p.pass(3, h[3], h[4], h[3])
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
