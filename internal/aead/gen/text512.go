package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// oneTimeKey is RFC 8439, 2.6: the first block of each packet is the key of its
// Poly1305, r and what is added at last.
func (k *kernel512) oneTimeKey() {
	column := func(q int) operand.Mem { return operand.Mem{Base: columns, Disp: 64 * q} }
	for i, pad := range k.mem.pad {
		k.VMOVDQA64(column(2+i), z[0])
		k.VMOVDQA64(z[0], pad)
	}
	for i := range 2 {
		k.VPBROADCASTQ(k.table.clamp.Offset(8*i), these[i])
		k.VPANDQ(column(i), these[i], these[i])
	}
	k.poly.constants()
	k.poly.split(these[0], these[1], k.number())
	k.poly.keep(k.number(), k.mem.powers[0])
	k.VPXORQ(z[0], z[0], z[0])
	for i := range k.poly.limbs() {
		k.VMOVDQA64(z[0], k.mem.hash.Offset(64*i))
	}
	k.Comment("The block is not needed any more, and nothing comes in its place if the text is short.")
	for q := range 4 {
		k.VMOVDQA64(z[0], column(q))
	}
	k.ADDQ(operand.U32(columnsSize), columns)
	k.DECQ(ready)
}

// powers are r², r³ and r⁴; r is in number.
func (k *kernel512) powers() {
	r, r3 := k.number(), another[:k.poly.limbs()]
	k.poly.multiply(r, k.mem.powers[0], true)
	k.poly.carry(r)
	k.poly.keep(r, k.mem.powers[1])
	k.poly.multiply(r, k.mem.powers[0], true)
	k.poly.carry(r3)
	k.poly.keep(r3, k.mem.powers[2])
	k.poly.multiply(r, k.mem.powers[1], true)
	k.poly.carry(r)
	k.poly.keep(r, k.mem.powers[3])
}

// number is registers for one.
func (k *kernel512) number() []reg.VecPhysical { return number[:k.poly.limbs()] }

// texts works on all bytes of the texts, 64 at a time.
func (k *kernel512) texts() {
	k.Label("texts")
	k.CMPQ(left, operand.Imm(rowSize))
	k.JB(operand.LabelRef("lastRow"))
	k.TESTQ(ready, ready)
	k.JZ(operand.LabelRef("moreStream"))
	k.wholeRow()
	k.ADDQ(operand.Imm(rowSize), at)
	k.SUBQ(operand.Imm(rowSize), left)
	k.ADDQ(operand.U32(columnsSize), columns)
	k.DECQ(ready)
	k.JMP(operand.LabelRef("texts"))

	k.Label("moreStream")
	k.Comment("From the beginning, if it is full.")
	room := k.newLabel("room")
	k.LEAQ(k.mem.streamEnd, ready)
	k.CMPQ(columns, ready)
	k.JB(operand.LabelRef(room))
	k.LEAQ(k.mem.stream, columns)
	k.Label(room)
	k.nextStream(left, "texts")

	k.Label("lastRow")
	k.TESTQ(left, left)
	k.JZ(operand.LabelRef("noRow"))
	k.TESTQ(ready, ready)
	k.JZ(operand.LabelRef("moreStream"))
	k.partOfRow()
	k.Label("noRow")
}

// wholeRow encrypts or decrypts 64 bytes of every text and takes the ciphertext
// into the hash.
func (k *kernel512) wholeRow() {
	rows, text := these, those
	for i, p := range texts {
		k.VMOVDQU64(operand.Mem{Base: p, Index: at, Scale: 1}, rows[i])
	}
	k.transpose(rows, text)
	other := rows
	for q := range other {
		k.VPXORQ(operand.Mem{Base: columns, Disp: 64 * q}, text[q], other[q])
	}
	k.storeCiphertext(text, other)
	k.transpose(other, text)
	for i, p := range texts {
		k.VMOVDQU64(text[i], operand.Mem{Base: p, Index: at, Scale: 1})
	}

	short := k.newLabel("short")
	k.CMPQ(field(k.Context, work, "length"), operand.U32(shortText))
	k.JBE(operand.LabelRef(short))
	k.poly.constants()
	for i := range 4 {
		k.block(operand.Mem{Base: columns, Disp: blockSize * i}, k.mem.powers[3-i], i == 0)
	}
	k.carryHash()
	k.Label(short)
}

// partOfRow is wholeRow for what is left of the texts, less than 64 bytes, but
// for the hash.
func (k *kernel512) partOfRow() {
	bits, rows, text := ready, these, those // no key stream is needed after this
	k.MOVQ(operand.U32(1), bits)
	k.SHLQ(reg.CL, bits)
	k.DECQ(bits)
	k.KMOVQ(bits, masked)
	k.VPMOVM2B(masked, z[0])
	k.VMOVDQA64(z[0], k.mem.mask)
	for i, p := range texts {
		k.VMOVDQU8_Z(operand.Mem{Base: p, Index: at, Scale: 1}, masked, rows[i])
	}
	k.transpose(rows, text)
	other := rows
	for q := range other {
		k.VPXORQ(operand.Mem{Base: columns, Disp: 64 * q}, text[q], other[q])
		k.VPANDQ_BCST(k.mem.mask.Offset(8*q), other[q], other[q])
	}
	k.storeCiphertext(text, other)
	k.transpose(other, text)
	for i, p := range texts {
		k.VMOVDQU8(text[i], masked, operand.Mem{Base: p, Index: at, Scale: 1})
	}
}

// storeCiphertext stores the columns that are ciphertext where those of the key
// stream were: what came, when opening, and what goes, when sealing.
func (k *kernel512) storeCiphertext(came, goes []reg.VecPhysical) {
	store := func(from []reg.VecPhysical) {
		for q, x := range from {
			k.VMOVDQA64(x, operand.Mem{Base: columns, Disp: 64 * q})
		}
	}
	sealing, stored := k.newLabel("sealing"), k.newLabel("stored")
	open, err := k.Param("open").Resolve()
	if err != nil {
		panic(err)
	}
	k.CMPB(open.Addr, operand.Imm(0))
	k.JEQ(operand.LabelRef(sealing))
	store(came)
	k.JMP(operand.LabelRef(stored))
	k.Label(sealing)
	store(goes)
	k.Label(stored)
}

// transpose makes eight rows of 64 bytes eight columns, or the other way, in the
// registers t. It uses those of x.
func (k *kernel512) transpose(x, t []reg.VecPhysical) {
	k.Comment("Columns q and q+2, q+4, q+6 of two rows.")
	for i := 0; i < 8; i += 2 {
		k.VPUNPCKLQDQ(x[i+1], x[i], t[i])
		k.VPUNPCKHQDQ(x[i+1], x[i], t[i+1])
	}
	k.Comment("Columns q and q+4 of four rows, then one of eight.")
	for q := range 2 {
		t, u := [4]reg.VecPhysical{t[q], t[2+q], t[4+q], t[6+q]}, x[4*q:4*q+4]
		k.VSHUFI64X2(even, t[1], t[0], u[0])
		k.VSHUFI64X2(even, t[3], t[2], u[1])
		k.VSHUFI64X2(odd, t[1], t[0], u[2])
		k.VSHUFI64X2(odd, t[3], t[2], u[3])
		k.VSHUFI64X2(even, u[1], u[0], t[0])
		k.VSHUFI64X2(even, u[3], u[2], t[1])
		k.VSHUFI64X2(odd, u[1], u[0], t[2])
		k.VSHUFI64X2(odd, u[3], u[2], t[3])
	}
}

// VSHUFI64X2 with these takes lanes of 128 bits, 0 and 2 or 1 and 3, of its
// second source and then of its first.
const (
	even = operand.U8(0x88)
	odd  = operand.U8(0xdd)
)

// block adds a block, two columns, times a power of r to the sum. The first block
// of a sum comes after what was hashed before.
func (k *kernel512) block(at, power operand.Mem, first bool) {
	lo, hi, m := z[0], z[1], k.number()
	k.VMOVDQA64(at, lo)
	k.VMOVDQA64(at.Offset(64), hi)
	k.poly.split(lo, hi, m)
	k.poly.withTop(m)
	if first {
		for i, limb := range m {
			k.VPADDQ(k.mem.hash.Offset(64*i), limb, limb)
		}
	}
	k.poly.multiply(m, power, first)
}

// carryHash makes the sum the hash.
func (k *kernel512) carryHash() {
	h := k.number()
	k.poly.carry(h)
	for i, limb := range h {
		k.VMOVDQA64(limb, k.mem.hash.Offset(64*i))
	}
}

// lastBlocks takes the ciphertext that is not yet in the hash, and the block with
// the lengths (RFC 8439, 2.8). All that lies together.
func (k *kernel512) lastBlocks() {
	long, blocks := k.newLabel("long"), k.newLabel("block")
	k.Comment("What is left of a long text, or all of a short one.")
	k.MOVQ(field(k.Context, work, "length"), at)
	k.CMPQ(at, operand.U32(shortText))
	k.JA(operand.LabelRef(long))
	k.MOVQ(at, left)
	k.LEAQ(k.mem.stream.Offset(columnsSize), columns)
	k.Label(long)
	k.ADDQ(operand.Imm(15), left)
	k.SHRQ(operand.Imm(4), left)
	k.VPBROADCASTQ(field(k.Context, work, "length"), z[1])
	k.MOVQ(left, at)
	k.SHLQ(operand.Imm(7), at)
	k.VPXORQ(z[0], z[0], z[0])
	k.VMOVDQA64(z[0], operand.Mem{Base: columns, Index: at, Scale: 1})
	k.VMOVDQA64(z[1], operand.Mem{Base: columns, Index: at, Scale: 1, Disp: 64})
	k.poly.constants()
	k.Label(blocks)
	k.block(operand.Mem{Base: columns}, k.mem.powers[0], true)
	k.carryHash()
	k.ADDQ(operand.U32(blockSize), columns)
	k.DECQ(left)
	k.JGE(operand.LabelRef(blocks))
}

// tags adds the second half of the one-time keys, modulo 2^128.
func (k *kernel512) tags() {
	h, lo, hi, ones := k.number(), z[0], z[1], z[2]
	for i, limb := range h {
		k.VMOVDQA64(k.mem.hash.Offset(64*i), limb)
	}
	k.poly.finish(h, lo, hi)
	k.VPADDQ(k.mem.pad[0], lo, lo)
	k.VPADDQ(k.mem.pad[1], hi, hi)
	k.Comment("A sum that is less than what was added has a carry.")
	k.VPCMPUQ(operand.Imm(1), k.mem.pad[0], lo, masked)
	k.VPTERNLOGQ(operand.U8(0xff), ones, ones, ones)
	k.VPSUBQ(ones, hi, masked, hi)
	tag := field(k.Context, work, "tag")
	k.VMOVDQU64(lo, tag)
	k.VMOVDQU64(hi, tag.Offset(64))
}

// forget zeroes the one-time keys and what was computed with them (A35), and
// the word of the key stream that was spilled. What else is in the scratch is
// ciphertext, and key stream that nobody needs.
func (k *kernel512) forget() {
	zero := z[0]
	wipe := func(from operand.Mem, size int) {
		for i := 0; i < size; i += 64 {
			k.VMOVDQA64(zero, from.Offset(i))
		}
	}
	k.VPXORQ(zero, zero, zero)
	wipe(k.mem.spilled, 64)
	wipe(k.mem.pad[0], 2*64)
	wipe(k.mem.hash, 64*k.poly.limbs())
	wipe(k.mem.powers[0], k.poly.powerSize())
	short := k.newLabel("short")
	k.CMPQ(field(k.Context, work, "length"), operand.U32(shortText))
	k.JBE(operand.LabelRef(short))
	wipe(k.mem.powers[1], 3*k.poly.powerSize())
	k.Label(short)
}
