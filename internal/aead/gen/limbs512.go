package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// limbs512 is what the implementations of poly512 have in common: numbers are
// limbs with 130 bits in total, and bits above them are added at the bottom,
// times five.
type limbs512 struct {
	*build.Context
	bits []uint8           // of each limb
	mask []reg.VecPhysical // of each limb
	top  operand.Mem       // the bit above the 128 of a block, in its limb
}

// spare512 are registers that are free once a block is split.
var spare512 = [2]reg.VecPhysical{lower, upper}

// ones sets every bit of a register.
func (p *limbs512) ones(x reg.VecPhysical) { p.VPTERNLOGQ(operand.U8(0xff), x, x, x) }

// orThenAnd is the immediate with which VPTERNLOGQ c, b, a computes a = (a | b)
// & c.
const orThenAnd = operand.U8(0xa8)

func (p *limbs512) limbs() int { return len(p.bits) }

func (p *limbs512) setTopBit(m []reg.VecPhysical) {
	last := m[len(m)-1]
	p.VPORQ_BCST(p.top, last, last)
}

// carryLimb adds the bits of d above those of limb i to the next limb, and puts
// the rest into h.
func (p *limbs512) carryLimb(i int, d, next, h reg.VecPhysical) {
	t := spare512[0]
	p.VPSRLQ(operand.U8(p.bits[i]), d, t)
	p.VPANDQ(p.mask[i], d, h)
	p.VPADDQ(t, next, next)
}

// carryUp is carryLimb for all limbs but the last, in order.
func (p *limbs512) carryUp(h []reg.VecPhysical) {
	for i, limb := range h[:len(h)-1] {
		p.carryLimb(i, limb, h[i+1], limb)
	}
}

// carryAround adds the bits of d above those of the last limb to the first
// limb, times five, and puts the rest into h.
func (p *limbs512) carryAround(d, h, first reg.VecPhysical) {
	above, last := spare512[0], len(p.bits)-1
	p.VPSRLQ(operand.U8(p.bits[last]), d, above)
	p.VPANDQ(p.mask[last], d, h)
	p.addTimes5(above, first)
}

// addTimes5 adds 5·x to h.
func (p *limbs512) addTimes5(x, h reg.VecPhysical) {
	t := spare512[1]
	p.VPSLLQ(operand.Imm(2), x, t)
	p.VPADDQ(x, h, h)
	p.VPADDQ(t, h, h)
}

// reduce reduces h below 2^130-5, with no limb above its bits.
func (p *limbs512) reduce(h []reg.VecPhysical) {
	last := h[len(h)-1]
	p.Comment("Carry twice: after the first, h is below 2^130 + 2^10, after the second below 2^130.")
	for range 2 {
		p.carryUp(h)
		p.carryAround(last, last, h[0])
	}
	p.Comment("If h + 5 has bit 130, h is at least 2^130-5; then h + 5 without that bit is the result.")
	above := spare512[0]
	p.VPBROADCASTQ(table(p.Context, "five", 5, 0), above)
	for i, limb := range h {
		p.VPADDQ(limb, above, above)
		p.VPSRLQ(operand.U8(p.bits[i]), above, above)
	}
	p.addTimes5(above, h[0])
	p.carryUp(h)
}
