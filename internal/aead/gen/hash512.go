package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// oneTimeKey takes the key of Poly1305, r and the pad, from the first block of
// each packet (RFC 8439, section 2.6).
func (k *kernel512) oneTimeKey() {
	column := func(q int) operand.Mem { return operand.Mem{Base: columns, Disp: 64 * q} }
	for i, pad := range k.mem.pad {
		k.VMOVDQA64(column(2+i), z[0])
		k.VMOVDQA64(z[0], pad)
	}
	for i, half := range [2]reg.VecPhysical{lower, upper} {
		k.VPBROADCASTQ(k.table.clamp.Offset(8*i), half)
		k.VPANDQ(column(i), half, half)
	}
	k.poly.constants()
	k.poly.split(lower, upper, k.number())
	k.poly.storePower(k.number(), k.mem.powers[0])
	k.VPXORQ(z[0], z[0], z[0])
	for i := range k.poly.limbs() {
		k.VMOVDQA64(z[0], k.mem.hash.Offset(64*i))
	}
	k.Comment("Erase the block: if the text is short, nothing overwrites it.")
	for q := range 4 {
		k.VMOVDQA64(z[0], column(q))
	}
	k.ADDQ(operand.U32(columnsSize), columns)
}

// powers computes r², r³ and r⁴. r is in number.
func (k *kernel512) powers() {
	n, power := k.number(), k.mem.powers
	for i := range 2 {
		k.poly.multiply(n, power[0], true)
		k.poly.carry(n)
		k.poly.storePower(n, power[1+i])
	}
	for i, limb := range n {
		k.VMOVDQA64(power[1].Offset(64*i), limb)
	}
	k.poly.multiply(n, power[1], true)
	k.poly.carry(n)
	k.poly.storePower(n, power[3])
	k.poly.storeFactors(power)
}

// number returns the registers of a number.
func (k *kernel512) number() []reg.VecPhysical { return number[:k.poly.limbs()] }

// hashRow hashes a row of ciphertext.
func (k *kernel512) hashRow() {
	k.poly.constants()
	k.addToHash(operand.Mem{Base: columns}, k.mem.powers[3])
	k.poly.addBlocks(operand.Mem{Base: columns}, k.mem.powers)
	k.carryHash()
}

// hashBlock hashes one block.
func (k *kernel512) hashBlock(at operand.Mem) {
	k.addToHash(at, k.mem.powers[0])
	k.carryHash()
}

// addToHash adds a block, which is two columns, to the hash, and begins the sum
// with the product of the result and a power of r.
func (k *kernel512) addToHash(at, power operand.Mem) {
	m := k.number()
	k.VMOVDQA64(at, lower)
	k.VMOVDQA64(at.Offset(64), upper)
	k.poly.split(lower, upper, m)
	k.poly.setTopBit(m)
	for i, limb := range m {
		k.VPADDQ(k.mem.hash.Offset(64*i), limb, limb)
	}
	k.poly.multiply(m, power, true)
}

// carryHash reduces the sum and stores it as the hash.
func (k *kernel512) carryHash() {
	h := k.number()
	k.poly.carry(h)
	for i, limb := range h {
		k.VMOVDQA64(limb, k.mem.hash.Offset(64*i))
	}
}

// lastBlocks hashes the ciphertext of the last rows, and the block with the
// lengths (RFC 8439, section 2.8), which it stores after it.
func (k *kernel512) lastBlocks() {
	end, blocks := reg.RDX, k.newLabel("block")
	k.MOVQ(k.mem.lastAt, at)
	k.MOVQ(k.mem.lastColumns, columns)
	k.countLeft()
	k.ADDQ(operand.Imm(15), left)
	k.SHRQ(operand.Imm(4), left)
	k.VPBROADCASTQ(field(k.Context, work, "length"), z[1])
	k.MOVQ(left, end)
	k.SHLQ(operand.Imm(7), end)
	k.VPXORQ(z[0], z[0], z[0])
	k.VMOVDQA64(z[0], operand.Mem{Base: columns, Index: end, Scale: 1})
	k.VMOVDQA64(z[1], operand.Mem{Base: columns, Index: end, Scale: 1, Disp: 64})
	k.poly.constants()
	k.Label(blocks)
	k.emitPadded(func() { k.hashBlock(operand.Mem{Base: columns}) })
	k.ADDQ(operand.U32(blockSize), columns)
	k.DECQ(left)
	k.JGE(operand.LabelRef(blocks))
}

// tags computes the tags: it adds the second half of the one-time keys, modulo
// 2^128.
func (k *kernel512) tags() {
	h, lo, hi, ones := k.number(), z[0], z[1], z[2]
	for i, limb := range h {
		k.VMOVDQA64(k.mem.hash.Offset(64*i), limb)
	}
	k.poly.finish(h, lo, hi)
	k.VPADDQ(k.mem.pad[0], lo, lo)
	k.VPADDQ(k.mem.pad[1], hi, hi)
	k.Comment("If the sum is less than the summand, there was a carry.")
	k.VPCMPUQ(operand.Imm(1), k.mem.pad[0], lo, masked)
	k.VPTERNLOGQ(operand.U8(0xff), ones, ones, ones)
	k.VPSUBQ(ones, hi, masked, hi)
	tag := field(k.Context, work, "tag")
	k.VMOVDQU64(lo, tag)
	k.VMOVDQU64(hi, tag.Offset(64))
}

// erase zeroes the keys, the one-time keys and values computed from them (A35),
// the initial words of the states, and the plaintext. The rest of the scratch is
// ciphertext, and key stream that was not combined with a text.
func (k *kernel512) erase() {
	zero := z[0]
	wipe := func(from operand.Mem, size int) {
		for i := 0; i < size; i += 64 {
			k.VMOVDQA64(zero, from.Offset(i))
		}
	}
	k.VPXORQ(zero, zero, zero)
	for _, word := range k.mem.key {
		wipe(word, 64)
	}
	for word, firstRound := range k.mem.firstRound {
		if word%4 > 0 {
			wipe(firstRound, 64)
		}
	}
	wipe(k.mem.pad[0], 2*64)
	wipe(k.mem.plain, columnsSize)
	wipe(k.mem.hash, 64*k.poly.limbs())
	wipe(k.mem.powers[0], k.poly.powerSize(3))
	short := k.newLabel("short")
	k.CMPQ(field(k.Context, work, "length"), operand.U32(shortText))
	k.JBE(operand.LabelRef(short))
	for i, power := range k.mem.powers {
		wipe(power, k.poly.powerSize(i))
	}
	k.Label(short)
}
