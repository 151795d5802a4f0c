package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mulx emits Poly1305 in general registers (RFC 8439, section 2.5), for one
// packet at a time. It shares no registers with ChaCha20 in vector registers,
// so that both can be interleaved.
//
// The accumulator h and the key r are numbers to the base 2^64: h = h0 +
// h1·2^64 + h2·2^128 with a small h2, r = r0 + r1·2^64. A part of a product at
// 2^128 is added at 2^0 with a factor of 5/4, because 2^130 = 5 (mod 2^130-5);
// r is clamped so that s1 = r1·5/4 is an integer. A block m is processed by
//
//	h  = h + m + 2^128
//	d0 = h0·r0 + h1·s1
//	d1 = h0·r1 + h1·r0 + h2·s1
//	d2 = h2·r0
//	d  = d0 + d1·2^64 + d2·2^128
//	h  = d mod 2^130 + 5·floor(d / 2^130)
//
// after which h2 is at most 4. Only finish reduces h further.
type mulx struct {
	*build.Context
	otk  reg.GPPhysical // address of the one-time key and its accumulator
	text reg.GPPhysical // address of the blocks

	h1, h2, d1, d2, low, t, u reg.GPPhysical
}

// h0 is the register that MULX implicitly takes one of its factors from.
var h0 = reg.RDX

// The layout in memory of a one-time key with its accumulator, as offsets in
// bytes.
const (
	otkH0   = 0
	otkH1   = 8
	otkH2   = 16
	otkR0   = 24
	otkR1   = 32
	otkS1   = 40
	otkPad  = 48 // 16 bytes, added to the tag
	otkSize = 64
)

func (m *mulx) in(disp int) operand.Mem { return operand.Mem{Base: m.otk, Disp: disp} }

// load and store move h from and to memory.
func (m *mulx) load() stream {
	h1, h2 := m.h1, m.h2
	return stream{
		func() { m.MOVQ(m.in(otkH0), h0) },
		func() { m.MOVQ(m.in(otkH1), h1) },
		func() { m.MOVQ(m.in(otkH2), h2) },
	}
}

func (m *mulx) store() stream {
	h1, h2 := m.h1, m.h2
	return stream{
		func() { m.MOVQ(h0, m.in(otkH0)) },
		func() { m.MOVQ(h1, m.in(otkH1)) },
		func() { m.MOVQ(h2, m.in(otkH2)) },
	}
}

// block processes 16 bytes of the text.
func (m *mulx) block(disp int) stream {
	text, h1, h2 := operand.Mem{Base: m.text, Disp: disp}, m.h1, m.h2
	add := func() {
		m.ADDQ(text, h0)
		m.ADCQ(text.Offset(8), h1)
		m.ADCQ(operand.Imm(1), h2)
	}
	return append(stream{add}, m.multiply()...)
}

// lengths processes the last block, which has the lengths of the authenticated
// data: 8 bytes for the additional data, which is empty, and 8 bytes for the
// text.
func (m *mulx) lengths(length operand.Op) stream {
	h1, h2 := m.h1, m.h2
	add := func() {
		m.ADDQ(length, h1)
		m.ADCQ(operand.Imm(1), h2)
	}
	return append(stream{add}, m.multiply()...)
}

// multiply computes h·r. Afterwards the registers h1 and d1 are exchanged.
func (m *mulx) multiply() stream {
	h1, h2, d1, d2, low, t, u := m.h1, m.h2, m.d1, m.d2, m.low, m.t, m.u
	m.h1, m.d1 = d1, h1
	return stream{
		func() { m.MULXQ(m.in(otkR0), low, d1) }, // h0·r0
		func() { m.MULXQ(m.in(otkR1), t, d2) },   // h0·r1
		func() { m.ADDQ(t, d1); m.ADCQ(operand.Imm(0), d2) },
		func() { m.MOVQ(h1, h0) },
		func() { m.MULXQ(m.in(otkR0), t, u) }, // h1·r0
		func() { m.ADDQ(t, d1); m.ADCQ(u, d2) },
		func() { m.MULXQ(m.in(otkS1), h0, u) }, // h1·s1
		func() { m.MOVQ(h2, t) },
		func() { m.IMULQ(m.in(otkS1), t) }, // h2·s1, less than 2^64
		func() { m.IMULQ(m.in(otkR0), h2) },
		func() { m.ADDQ(low, h0); m.ADCQ(u, d1); m.ADCQ(h2, d2) },
		func() { m.ADDQ(t, d1); m.ADCQ(operand.Imm(0), d2) },
		func() { m.MOVQ(d2, h2) },
		func() { m.ANDQ(operand.Imm(3), h2) },
		func() { m.SHRQ(operand.Imm(2), d2) },
		func() { m.LEAQ(operand.Mem{Base: d2, Index: d2, Scale: 4}, d2) },
		func() { m.ADDQ(d2, h0); m.ADCQ(operand.Imm(0), d1); m.ADCQ(operand.Imm(0), h2) },
	}
}

// finish computes the tag in h0 and h1: h modulo 2^130-5, plus the pad. It
// selects h or h-(2^130-5) without a jump.
func (m *mulx) finish() {
	g0, g1, g2 := m.low, m.d1, m.d2
	m.Comment("The tag: h or h+5-2^130, plus the pad.")
	m.MOVQ(h0, g0)
	m.MOVQ(m.h1, g1)
	m.MOVQ(m.h2, g2)
	m.ADDQ(operand.Imm(5), g0)
	m.ADCQ(operand.Imm(0), g1)
	m.ADCQ(operand.Imm(0), g2)
	m.Comment("All ones if h is less than 2^130-5.")
	m.SHRQ(operand.Imm(2), g2)
	m.SUBQ(operand.Imm(1), g2)
	m.SBBQ(m.t, m.t)
	for _, x := range [2][2]reg.GPPhysical{{h0, g0}, {m.h1, g1}} {
		h, g := x[0], x[1]
		m.XORQ(g, h)
		m.ANDQ(m.t, h)
		m.XORQ(g, h)
	}
	m.ADDQ(m.in(otkPad), h0)
	m.ADCQ(m.in(otkPad+8), m.h1)
}

// setKey makes a one-time key of the first 32 bytes of a key stream (RFC 8439,
// section 2.6).
func (m *mulx) setKey(from operand.Mem) {
	m.XORL(m.t.As32(), m.t.As32())
	for _, h := range []int{otkH0, otkH1, otkH2} {
		m.MOVQ(m.t, m.in(h))
	}
	m.MOVQ(operand.U64(0x0ffffffc0fffffff), m.t)
	m.ANDQ(from, m.t)
	m.MOVQ(m.t, m.in(otkR0))
	m.MOVQ(operand.U64(0x0ffffffc0ffffffc), m.t)
	m.ANDQ(from.Offset(8), m.t)
	m.MOVQ(m.t, m.in(otkR1))
	m.MOVQ(m.t, m.u)
	m.SHRQ(operand.Imm(2), m.u)
	m.ADDQ(m.u, m.t)
	m.MOVQ(m.t, m.in(otkS1))
	for half := 0; half < 16; half += 8 {
		m.MOVQ(from.Offset(16+half), m.t)
		m.MOVQ(m.t, m.in(otkPad+half))
	}
}
