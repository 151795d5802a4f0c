package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loop processes whole rows of the texts as long as more key stream is needed:
// two rows in each iteration, while the next two blocks are computed. It is
// entered at the label row, for the first row only.
func (k *kernel512) loop() {
	k.Label("turn")
	k.beginState()
	k.Label("row")
	k.chooseTargets()
	k.emitWith(k.doubleRounds(4), func() {
		k.rowOfText()
		k.hashRow()
	})
	k.ADDQ(operand.U32(columnsSize), columns)
	k.ADDQ(operand.Imm(rowSize), at)
	k.Comment("An iteration ends after the first row, the third, the fifth and so on.")
	k.TESTQ(operand.U32(rowSize), at)
	k.JZ(operand.LabelRef("row"))

	k.Comment("The next columns are ready, and the space of the previous ones is free.")
	fresh := reg.RDX
	k.MOVQ(k.mem.nextStream, fresh)
	k.storeColumns(operand.Mem{Base: fresh})
	k.SUBQ(operand.U32(2*columnsSize), columns)
	k.MOVQ(columns, k.mem.nextStream)
	k.MOVQ(fresh, columns)
	k.countLeft()
	k.CMPQ(left, operand.U32(2*rowSize))
	k.JA(operand.LabelRef("turn"))
}

// shortTexts processes the first row of texts with two rows, while the key
// stream of the second is computed.
func (k *kernel512) shortTexts() {
	k.Label("short")
	k.chooseTargets()
	k.beginState()
	k.emitWith(k.doubleRounds(8), func() {
		k.rowOfText()
		k.poly.constants()
		for i := range 4 {
			k.hashBlock(operand.Mem{Base: columns, Disp: blockSize * i})
		}
	})
	k.LEAQ(k.mem.stream[1], columns)
	k.storeColumns(operand.Mem{Base: columns})
	k.ADDQ(operand.Imm(rowSize), at)
	k.JMP(operand.LabelRef("lastRows"))
}

// lastRows encrypts or decrypts the rest of the texts once all key stream is
// computed, two rows at most. It stores where they begin; lastBlocks hashes
// them.
func (k *kernel512) lastRows() {
	k.Label("lastRows")
	k.MOVQ(at, k.mem.lastAt)
	k.MOVQ(columns, k.mem.lastColumns)
	k.Label("wholeRow")
	k.countLeft()
	k.CMPQ(left, operand.Imm(rowSize))
	k.JB(operand.LabelRef("lastRow"))
	k.chooseTargets()
	k.rowOfText()
	k.ADDQ(operand.U32(columnsSize), columns)
	k.ADDQ(operand.Imm(rowSize), at)
	k.JMP(operand.LabelRef("wholeRow"))

	k.Label("lastRow")
	k.TESTQ(left, left)
	k.JZ(operand.LabelRef("noRow"))
	k.lastRowOfText()
	k.Label("noRow")
}

// countLeft computes how many bytes of the texts are left.
func (k *kernel512) countLeft() {
	k.MOVQ(field(k.Context, work, "length"), left)
	k.SUBQ(at, left)
}

// chooseTargets chooses where the columns of a row are stored: ciphertext in
// place of the key stream, plaintext in a separate area.
func (k *kernel512) chooseTargets() {
	sealing := k.newLabel("sealing")
	k.LEAQ(k.mem.plain, inputTo)
	k.MOVQ(columns, outputTo)
	open, err := k.Param("open").Resolve()
	if err != nil {
		panic(err)
	}
	k.CMPB(open.Addr, operand.Imm(0))
	k.JEQ(operand.LabelRef(sealing))
	k.MOVQ(inputTo, outputTo)
	k.MOVQ(columns, inputTo)
	k.Label(sealing)
}

// rowOfText encrypts or decrypts 64 bytes of every text. As far as possible,
// loads and stores do the transposing, because only one execution unit can
// shuffle.
func (k *kernel512) rowOfText() {
	k.loadColumns(setA)
	k.joinStream(setA, setB)
	k.Comment("Columns 2q and 2q+1 of every other packet.")
	for q := 0; q < 8; q += 2 {
		k.VPUNPCKLQDQ(setB[q+1], setB[q], setA[q])
		k.VPUNPCKHQDQ(setB[q+1], setB[q], setA[q+1])
	}
	for q := 0; q < 8; q += 2 {
		for packet, p := range texts {
			from, to := setA[q+packet%2], operand.Mem{Base: p, Index: at, Scale: 1, Disp: 8 * q}
			if packet < 2 {
				k.VMOVDQU64(from.AsX(), to)
				continue
			}
			k.VEXTRACTI64X2(operand.U8(packet/2), from, to)
		}
	}
}

// loadColumns loads eight rows of 64 bytes as eight columns.
func (k *kernel512) loadColumns(x []reg.VecPhysical) {
	t := setB
	k.Comment("A half of the rows of two packets in each register.")
	for half := range 2 {
		for i, packet := range [4]int{0, 1, 4, 5} {
			row := func(packet int) operand.Mem {
				return operand.Mem{Base: texts[packet], Index: at, Scale: 1, Disp: 32 * half}
			}
			k.VMOVDQU64(row(packet), x[4*half+i].AsY())
			k.VINSERTI64X4(operand.Imm(1), row(packet+2), x[4*half+i], x[4*half+i])
		}
	}
	k.Comment("Columns q and q+2 of four packets, then one column of eight.")
	for i := 0; i < 8; i += 2 {
		k.VPUNPCKLQDQ(x[i+1], x[i], t[i])
		k.VPUNPCKHQDQ(x[i+1], x[i], t[i+1])
	}
	for half := range 2 {
		x, t := x[4*half:], t[4*half:]
		for q := range 2 {
			k.VSHUFI64X2(even, t[2+q], t[q], x[q])
			k.VSHUFI64X2(odd, t[2+q], t[q], x[2+q])
		}
	}
}

// joinStream XORs the loaded columns x with the key stream into y, and stores
// both.
func (k *kernel512) joinStream(x, y []reg.VecPhysical) {
	for q := range y {
		k.VPXORQ(operand.Mem{Base: columns, Disp: 64 * q}, x[q], y[q])
	}
	k.storeBoth(x, y)
}

func (k *kernel512) storeBoth(x, y []reg.VecPhysical) {
	for q := range x {
		k.VMOVDQA64(x[q], operand.Mem{Base: inputTo, Disp: 64 * q})
		k.VMOVDQA64(y[q], operand.Mem{Base: outputTo, Disp: 64 * q})
	}
}

// lastRowOfText is rowOfText for the rest of the texts, 1 to 63 bytes.
func (k *kernel512) lastRowOfText() {
	bits, rows, text := reg.RDX, setA, setB
	k.MOVQ(operand.U32(1), bits)
	k.SHLQ(reg.CL, bits)
	k.DECQ(bits)
	k.KMOVQ(bits, masked)
	k.VPMOVM2B(masked, z[0])
	k.VMOVDQA64(z[0], k.mem.mask)
	k.chooseTargets()
	for i, p := range texts {
		k.VMOVDQU8_Z(operand.Mem{Base: p, Index: at, Scale: 1}, masked, rows[i])
	}
	k.transpose(rows, text)
	other := rows
	for q := range other {
		k.VPXORQ(operand.Mem{Base: columns, Disp: 64 * q}, text[q], other[q])
		k.VPANDQ_BCST(k.mem.mask.Offset(8*q), other[q], other[q])
	}
	k.storeBoth(text, other)
	k.transpose(other, text)
	for i, p := range texts {
		k.VMOVDQU8(text[i], masked, operand.Mem{Base: p, Index: at, Scale: 1})
	}
}

// transpose turns eight rows of 64 bytes in x into eight columns in t, or
// columns into rows. It overwrites x.
func (k *kernel512) transpose(x, t []reg.VecPhysical) {
	k.Comment("Columns q and q+2, q+4, q+6 of two rows.")
	for i := 0; i < 8; i += 2 {
		k.VPUNPCKLQDQ(x[i+1], x[i], t[i])
		k.VPUNPCKHQDQ(x[i+1], x[i], t[i+1])
	}
	k.Comment("Columns q and q+4 of four rows, then one column of eight.")
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

// Immediates with which VSHUFI64X2 selects the 128-bit lanes 0 and 2, or 1 and
// 3, of its second source, in Go's order, and then of its first.
const (
	even = operand.U8(0x88)
	odd  = operand.U8(0xdd)
)
