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
type limbs26 struct{ *build.Context }

var (
	sum26                 = z[16:21]
	product26             = z[21:24]
	mask26, top26         = z[24], z[25]
	spare26               = z[26]
	_             poly512 = (*limbs26)(nil)
)

func (p *limbs26) limbs() int     { return 5 }
func (p *limbs26) powerSize() int { return 9 * 64 }

func (p *limbs26) constants() {
	p.VPTERNLOGQ(operand.U8(0xff), mask26, mask26, mask26)
	p.VPSRLQ(operand.Imm(63), mask26, top26)
	p.VPSLLQ(operand.Imm(24), top26, top26)
	p.VPSRLQ(operand.Imm(38), mask26, mask26)
}

func (p *limbs26) split(lo, hi reg.VecPhysical, m []reg.VecPhysical) {
	t := product26[0]
	p.VPANDQ(mask26, lo, m[0])
	p.VPSRLQ(operand.Imm(26), lo, m[1])
	p.VPANDQ(mask26, m[1], m[1])
	p.VPSRLQ(operand.Imm(52), lo, m[2])
	p.VPSLLQ(operand.Imm(12), hi, t)
	p.VPTERNLOGQ(orThenAnd, mask26, t, m[2])
	p.VPSRLQ(operand.Imm(14), hi, m[3])
	p.VPANDQ(mask26, m[3], m[3])
	p.VPSRLQ(operand.Imm(40), hi, m[4])
}

// orThenAnd makes of VPTERNLOGQ c, b, a: a = (a | b) & c.
const orThenAnd = operand.U8(0xa8)

func (p *limbs26) withTop(m []reg.VecPhysical) { p.VPORQ(top26, m[4], m[4]) }

func (p *limbs26) keep(r []reg.VecPhysical, power operand.Mem) {
	for i, limb := range r {
		p.VMOVDQA64(limb, power.Offset(64*i))
		if i > 0 {
			p.VPSLLQ(operand.Imm(2), limb, spare26)
			p.VPADDQ(limb, spare26, spare26)
			p.VMOVDQA64(spare26, power.Offset(64*(4+i)))
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

// carry takes two ways at once, from limb 0 and from limb 3, and leaves limbs 1
// and 4 up to 2^10 above 26 bits.
func (p *limbs26) carry(h []reg.VecPhysical) {
	d := sum26
	p.pass(d[0], d[1], h[0])
	p.pass(d[3], d[4], h[3])
	p.pass(d[1], d[2], h[1])
	p.VPSRLQ(operand.Imm(26), d[4], spare26)
	p.VPANDQ(mask26, d[4], h[4])
	p.times5(spare26, h[0])
	p.pass(d[2], h[3], h[2])
	p.pass(h[0], h[1], h[0])
	p.pass(h[3], h[4], h[3])
}

// pass takes what d has above 26 bits to the next limb and leaves the rest in h.
func (p *limbs26) pass(d, next, h reg.VecPhysical) {
	t := product26[0]
	p.VPSRLQ(operand.Imm(26), d, t)
	p.VPANDQ(mask26, d, h)
	p.VPADDQ(t, next, next)
}

// times5 adds what is above 130 bits to the lowest limb.
func (p *limbs26) times5(above, h reg.VecPhysical) {
	t := product26[1]
	p.VPSLLQ(operand.Imm(2), above, t)
	p.VPADDQ(above, h, h)
	p.VPADDQ(t, h, h)
}

func (p *limbs26) finish(h []reg.VecPhysical, lo, hi reg.VecPhysical) {
	p.Comment("Twice around: the first leaves less than 2^130 + 2^5, the second less than 2^130.")
	for range 2 {
		p.passAll(h)
		p.VPSRLQ(operand.Imm(26), h[4], spare26)
		p.VPANDQ(mask26, h[4], h[4])
		p.times5(spare26, h[0])
	}
	p.Comment("2^130-5 or more has a 131st bit when 5 is added; then that sum is the number.")
	above := spare26
	p.VPXORQ(above, above, above)
	p.VPADDQ_BCST(table(p.Context, "five", 5, 0), above, above)
	for _, limb := range h {
		p.VPADDQ(limb, above, above)
		p.VPSRLQ(operand.Imm(26), above, above)
	}
	p.times5(above, h[0])
	p.passAll(h)
	p.Comment("26, 26 and 12 bits; 14, 26 and 24 bits.")
	t := product26[0]
	p.VPSLLQ(operand.Imm(26), h[1], lo)
	p.VPORQ(h[0], lo, lo)
	p.VPSLLQ(operand.Imm(52), h[2], t)
	p.VPORQ(t, lo, lo)
	p.VPSRLQ(operand.Imm(12), h[2], hi)
	p.VPSLLQ(operand.Imm(14), h[3], t)
	p.VPORQ(t, hi, hi)
	p.VPSLLQ(operand.Imm(40), h[4], t)
	p.VPORQ(t, hi, hi)
}

func (p *limbs26) passAll(h []reg.VecPhysical) {
	for i := range 4 {
		p.pass(h[i], h[i+1], h[i])
	}
}
