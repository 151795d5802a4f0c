package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// oneTimeKey is RFC 8439, 2.6: the first block of each packet is the key of its
// Poly1305, r and what is added at last. It computes the powers of r.
func (k *kernel512) oneTimeKey() {
	for i, x := range others {
		k.VMOVDQA64(k.mem.stream.Offset(rowSize*i), x)
	}
	k.ADDQ(operand.U32(rowsSize), row)
	k.DECQ(ready)
	k.transpose()
	k.VMOVDQA64(columns[2], k.mem.pad[0])
	k.VMOVDQA64(columns[3], k.mem.pad[1])
	k.VPANDQ_BCST(k.table.clamp, columns[0], columns[0])
	k.VPANDQ_BCST(k.table.clamp.Offset(8), columns[1], columns[1])
	k.poly.constants()
	r, r3 := k.number(), another[:k.poly.limbs()]
	k.poly.split(columns[0], columns[1], r)
	k.poly.keep(r, k.mem.powers[0])
	k.VPXORQ(z[0], z[0], z[0])
	for i := range k.poly.limbs() {
		k.VMOVDQA64(z[0], k.mem.hash.Offset(64*i))
	}
	k.Comment("Powers of r.")
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
	k.ADDQ(operand.U32(rowsSize), row)
	k.DECQ(ready)
	k.JMP(operand.LabelRef("texts"))

	k.Label("moreStream")
	k.CMPQ(left, operand.U32(2*rowSize))
	k.JBE(operand.LabelRef("halfStream"))
	k.keyStream(2)
	k.JMP(operand.LabelRef("texts"))
	k.Label("halfStream")
	k.keyStream(1)
	k.JMP(operand.LabelRef("texts"))

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
	for i, text := range texts {
		k.VMOVDQU64(operand.Mem{Base: text, Index: at, Scale: 1}, others[i])
	}
	for i := range texts {
		k.VPXORQ(operand.Mem{Base: row, Disp: rowSize * i}, others[i], columns[i])
	}
	for i, text := range texts {
		k.VMOVDQU64(columns[i], operand.Mem{Base: text, Index: at, Scale: 1})
	}
	opening := k.ifOpening()
	for i := range texts {
		k.VMOVDQA64(columns[i], others[i])
	}
	k.Label(opening)
	k.transpose()
	k.poly.constants()
	for i := range 4 {
		k.block(columns[2*i], columns[2*i+1], k.mem.powers[3-i], i == 0)
	}
	k.carryHash()
}

// partOfRow is wholeRow for what is left of the texts, less than 64 bytes. It
// leaves the columns where the key stream was.
func (k *kernel512) partOfRow() {
	bits := ready // no rows are needed after these
	k.MOVQ(operand.U32(1), bits)
	k.SHLQ(reg.CL, bits)
	k.DECQ(bits)
	k.KMOVQ(bits, masked)
	for i, text := range texts {
		k.VMOVDQU8_Z(operand.Mem{Base: text, Index: at, Scale: 1}, masked, others[i])
	}
	for i := range texts {
		k.VPXORQ(operand.Mem{Base: row, Disp: rowSize * i}, others[i], columns[i])
	}
	for i, text := range texts {
		k.VMOVDQU8(columns[i], masked, operand.Mem{Base: text, Index: at, Scale: 1})
	}
	opening := k.ifOpening()
	for i := range texts {
		k.VMOVDQU8_Z(columns[i], masked, others[i])
	}
	k.Label(opening)
	k.transpose()
	for i, x := range columns {
		k.VMOVDQA64(x, k.mem.stream.Offset(64*i))
	}
}

// ifOpening jumps to the label that it returns if the texts are ciphertexts.
func (k *kernel512) ifOpening() (label string) {
	label = k.newLabel("opening")
	open, err := k.Param("open").Resolve()
	if err != nil {
		panic(err)
	}
	k.CMPB(open.Addr, operand.Imm(0))
	k.JNE(operand.LabelRef(label))
	return label
}

// transpose makes eight rows, in others, eight columns of 64 bits, in columns.
func (k *kernel512) transpose() {
	x, t := others, columns
	k.Comment("Columns q and q+2, q+4, q+6 of two packets: 16 bytes each.")
	for i := 0; i < 8; i += 2 {
		k.VPUNPCKLQDQ(x[i+1], x[i], t[i])
		k.VPUNPCKHQDQ(x[i+1], x[i], t[i+1])
	}
	k.Comment("Columns q and q+4 of four packets, then one of eight.")
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

// block adds a block times a power of r to the sum. The first block of a sum
// comes after what was hashed before.
func (k *kernel512) block(lo, hi reg.VecPhysical, power operand.Mem, first bool) {
	m := k.number()
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

// lastBlocks takes the columns that partOfRow left, and the block with the
// lengths (RFC 8439, 2.8), into the hash.
func (k *kernel512) lastBlocks() {
	k.ADDQ(operand.Imm(15), left)
	k.SHRQ(operand.Imm(4), left)
	k.MOVQ(left, at)
	k.SHLQ(operand.Imm(7), at)
	k.LEAQ(k.mem.stream, row)
	k.VPXORQ(z[0], z[0], z[0])
	k.VPBROADCASTQ(field(k.Context, work, "length"), z[1])
	k.VMOVDQA64(z[0], operand.Mem{Base: row, Index: at, Scale: 1})
	k.VMOVDQA64(z[1], operand.Mem{Base: row, Index: at, Scale: 1, Disp: 64})
	k.poly.constants()
	k.Label("lastBlocks")
	k.VMOVDQA64(operand.Mem{Base: row}, z[0])
	k.VMOVDQA64(operand.Mem{Base: row, Disp: 64}, z[1])
	k.block(z[0], z[1], k.mem.powers[0], true)
	k.carryHash()
	k.ADDQ(operand.U32(128), row)
	k.DECQ(left)
	k.JGE(operand.LabelRef("lastBlocks"))
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
