package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A field is arithmetic modulo 2^255-19 with one number in each lane. A number
// is in the scratch, as little-endian limbs. A field records how large the limbs
// of each result can be, and ends the generator if a sum or a factor could
// overflow, so that the kernels need no proof of that.
type field interface {
	// tight returns the greatest limbs of a product.
	tight() []uint64
	// input returns the greatest limbs of a coordinate in the group.
	input() []uint64
	// vector returns how many bytes a limb takes, in all lanes.
	vector() int
	// constants loads the constants that the other methods need.
	constants()
	// load copies a number from rows of the group, store copies it to them.
	load(to *number, rows operand.Mem)
	store(x *number, rows operand.Mem)
	copy(to, x *number)
	add(to, a, b *number)
	subtract(to, a, b *number)
	// prepare computes what multiply needs of b, if b is used more than once.
	prepare(b *number)
	multiply(to, a, b *number)
	square(to, a *number)
	// multiplyAdd computes b + 121666·e.
	multiplyAdd(to, e, b *number)
	// nextSwap loads the next bit of the swaps in each lane; choose replaces a
	// by b where it is set.
	nextSwap(words operand.Mem)
	choose(a, b *number)
	// clearRegisters zeroes all registers that it uses.
	clearRegisters()
}

// A number is in memory.
type number struct {
	at       operand.Mem
	max      []uint64     // the greatest value of each limb
	prepared *operand.Mem // what multiply needs of it
}

// check ends the generator if limbs can be greater than allowed.
func check(what string, max, allowed []uint64) {
	for i := range max {
		if max[i] > allowed[i] {
			panic(fmt.Sprintf("limb %d of %s can be %#x, and only %#x is allowed", i, what, max[i], allowed[i]))
		}
	}
}

// Registers of the ladder, all public.
var (
	steps    = reg.RAX // left
	wordBits = reg.RBX // left in the current words of the swaps
	words    = reg.RDX // address of the current words
	entry    = reg.RCX // address in the table of the inversion
	entries  = reg.R8  // left
	squares  = reg.R9  // left
	other    = reg.R10 // address of a number
)

// A ladder emits a kernel: the Montgomery ladder (RFC 7748, section 5) and the
// inversion of its result.
//
// The RFC exchanges the two points of the ladder before each step. Here both are
// left where they are: in a step, only the sum and the difference of the first
// point are treated otherwise than those of the second, when they are squared.
// So it is enough to choose which ones are squared.
type ladder struct {
	*build.Context
	field
	next int // offset of the next unused byte of the scratch

	x1, x2, z2, x3, z3 *number
	a, b, c, d, da, cb *number
	aa, bb, s, t, e, f *number
	current            operand.Mem // the current words of the swaps, shifted
}

func emitLadder(c *build.Context, f field) {
	l := &ladder{Context: c, field: f}
	l.layOut()
	l.constants()
	l.begin()
	l.Comment("The 255 steps of the ladder.")
	l.MOVL(operand.U32(255), steps.As32())
	l.LEAQ(groupField(c, "swap").Offset(3*64), words)
	l.Label("words")
	l.load(&number{at: l.current, max: []uint64{0}}, operand.Mem{Base: words})
	l.MOVL(operand.U32(64), wordBits.As32())
	l.Label("step")
	l.step()
	l.DECQ(steps)
	l.JZ(operand.LabelRef("inverse"))
	l.DECQ(wordBits)
	l.JNZ(operand.LabelRef("step"))
	l.SUBQ(operand.Imm(64), words)
	l.JMP(operand.LabelRef("words"))
	l.invert()
	l.erase()
	l.VZEROUPPER()
	l.RET()
}

// layOut aligns the scratch and assigns addresses in it.
func (l *ladder) layOut() {
	l.Load(l.Param("work"), work)
	l.LEAQ(groupField(l.Context, "scratch").Offset(63), scratch)
	l.ANDQ(operand.I8(-64), scratch)
	for _, n := range []**number{
		&l.x1, &l.x2, &l.z2, &l.x3, &l.z3, &l.a, &l.b, &l.c, &l.d, &l.da, &l.cb, &l.aa, &l.bb, &l.s, &l.t, &l.e, &l.f,
	} {
		*n = &number{at: l.take(len(l.tight()) * l.vector()), max: l.tight()}
	}
	l.current = l.take(l.vector())
	prepared := l.take(len(l.tight()) * l.vector())
	l.x1.prepared, l.x1.max = &prepared, l.input()
}

// scratchSize is the size of the scratch in group.go after alignment to 64.
const scratchSize = 8064

// take assigns a part of the scratch.
func (l *ladder) take(size int) operand.Mem {
	m := operand.Mem{Base: scratch, Disp: l.next}
	if l.next += size; l.next > scratchSize-spareSize {
		panic("the scratch in group.go is too small")
	}
	return m
}

// spareSize is the size of the end of the scratch, for the use of a field.
const spareSize = 10 * 64

// spare returns the address of a limb there.
func spare(limb, vector int) operand.Mem {
	return operand.Mem{Base: scratch, Disp: scratchSize - spareSize + limb*vector}
}

// begin sets the points: the first to infinity, the second to the one given.
func (l *ladder) begin() {
	l.Comment("The points 1:0 and x1:1.")
	l.load(l.x1, groupField(l.Context, "point"))
	l.prepare(l.x1)
	l.copy(l.x3, l.x1)
	l.set(l.x2, 1)
	l.set(l.z2, 0)
	l.set(l.z3, 1)
}

// set sets a number to a small value.
func (l *ladder) set(x *number, value uint32) {
	register := steps
	for limb := range l.tight() {
		switch {
		case limb == 0 && value != 0:
			l.MOVL(operand.U32(value), register.As32())
		case limb < 2:
			l.XORL(register.As32(), register.As32())
		}
		for at := limb * l.vector(); at < (limb+1)*l.vector(); at += 8 {
			l.MOVQ(register, x.at.Offset(at))
		}
	}
}

// step adds the points, and doubles the one that the swaps choose. Successive
// multiplications do not wait for each other.
func (l *ladder) step() {
	for _, n := range []*number{l.x2, l.z2, l.x3, l.z3} {
		n.max = l.tight()
	}
	l.add(l.a, l.x2, l.z2)
	l.subtract(l.b, l.x2, l.z2)
	l.add(l.c, l.x3, l.z3)
	l.subtract(l.d, l.x3, l.z3)
	l.multiply(l.da, l.d, l.a)
	l.multiply(l.cb, l.c, l.b)
	l.nextSwap(l.current)
	l.choose(l.a, l.c)
	l.choose(l.b, l.d)
	l.square(l.aa, l.a)
	l.square(l.bb, l.b)
	l.add(l.s, l.da, l.cb)
	l.subtract(l.t, l.da, l.cb)
	l.square(l.x3, l.s)
	l.square(l.t, l.t)
	l.multiply(l.x2, l.aa, l.bb)
	l.subtract(l.e, l.aa, l.bb)
	l.multiplyAdd(l.f, l.e, l.bb)
	l.multiply(l.z3, l.t, l.x1)
	l.multiply(l.z2, l.e, l.f)
	for _, n := range []*number{l.x2, l.z2, l.x3, l.z3} {
		check("a coordinate after a step", n.max, l.tight())
	}
}

// invert multiplies x2 by z2^(p-2), which is the inverse of z2, or 0 if z2 is 0.
// Each entry of a table has a number of squarings of the power, the offset of a
// number to multiply it by, and the offset where the result is kept.
func (l *ladder) invert() {
	power, z11, kept := l.a, l.b, []*number{l.c, l.d, l.da, l.cb, l.aa, l.bb, l.s, l.t, l.e}
	z, result, z22, z9 := l.z2, l.f, kept[0], kept[1]
	z5, z10, z20, z50, z100 := kept[2], kept[3], kept[4], kept[5], kept[6]
	list := []struct {
		squares  uint64
		factor   *number
		keptHere *number
	}{
		{1, l.z3, z22}, // z², because z3 is 1
		{2, z, z9},     // z⁹
		{0, z22, z11},  // z¹¹
		{1, z9, z5},    // the exponent is 2⁵-1
		{5, z5, z10},   // 2¹⁰-1
		{10, z10, z20}, // 2²⁰-1
		{20, z20, result},
		{10, z10, z50},    // 2⁵⁰-1
		{50, z50, z100},   // 2¹⁰⁰-1
		{100, z100, z100}, // 2²⁰⁰-1
		{50, z50, z100},   // 2²⁵⁰-1
		{5, z11, z100},    // 2²⁵⁵-21
		{0, l.x2, result},
	}
	var all []uint64
	for _, e := range list {
		all = append(all, e.squares, uint64(e.factor.at.Disp), uint64(e.keptHere.at.Disp))
	}
	chain := table(l.Context, "inversion", all...)
	l.Label("inverse")
	l.Comment("The quotient of x2 and z2.")
	l.set(l.z3, 1)
	l.copy(power, z)
	l.LEAQ(chain, entry)
	l.MOVL(operand.U32(uint32(len(list))), entries.As32())
	l.Label("entry")
	l.MOVQ(operand.Mem{Base: entry}, squares)
	l.Label("square")
	l.TESTQ(squares, squares)
	l.JZ(operand.LabelRef("factor"))
	l.power(power, func() { l.square(power, power) })
	l.DECQ(squares)
	l.JMP(operand.LabelRef("square"))
	l.Label("factor")
	l.MOVQ(operand.Mem{Base: entry, Disp: 8}, other)
	l.ADDQ(scratch, other)
	l.power(power, func() { l.multiply(power, power, &number{at: operand.Mem{Base: other}, max: l.tight()}) })
	l.MOVQ(operand.Mem{Base: entry, Disp: 16}, other)
	l.ADDQ(scratch, other)
	l.copy(&number{at: operand.Mem{Base: other}}, power)
	l.ADDQ(operand.Imm(24), entry)
	l.DECQ(entries)
	l.JNZ(operand.LabelRef("entry"))
	l.store(result, groupField(l.Context, "product"))
}

// power emits a step of the inversion.
func (l *ladder) power(power *number, emit func()) {
	power.max = l.tight()
	emit()
	check("a power", power.max, l.tight())
}

// erase zeroes all registers that held secrets. (The group is zeroed by its
// owner.)
func (l *ladder) erase() {
	l.Comment("No secret is left in a register.")
	l.clearRegisters()
}
