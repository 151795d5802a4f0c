package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loadNonces prepares what the states begin with and is not the same for all
// lanes, and the masks of the rotations.
func (k *kernel512) loadNonces() {
	counters, low, high := z[0], z[1], z[2]
	k.VMOVDQU64(field(k.Context, work, "counter"), counters)
	k.Comment("Both halves of the counters, each twice: for both blocks of a packet.")
	k.VPMOVQD(counters, low.AsY())
	k.VPSRLQ(operand.Imm(32), counters, counters)
	k.VPMOVQD(counters, high.AsY())
	for i, half := range []reg.VecPhysical{low, high} {
		k.VINSERTI64X4(operand.Imm(1), half.AsY(), half, half)
		k.VMOVDQA64(half, k.mem.nonce[i])
	}
	for i, numbers := range k.mem.blocks {
		k.VMOVDQU64(k.table.firstBlocks.Offset(64*i), z[0])
		k.VMOVDQA64(z[0], numbers)
	}
	for i, mask := range k.mem.rotate {
		k.VBROADCASTI32X4(k.table.rotations[i], z[0])
		k.VMOVDQA64(z[0], mask)
	}
}

// keyStream fills the scratch with the next two or four blocks of every packet.
func (k *kernel512) keyStream(states int) {
	rounds := k.newLabel("rounds")
	k.startStates(states)
	k.MOVQ(operand.U32(10), row)
	k.Label(rounds)
	k.doubleRound(states)
	k.DECQ(row)
	k.JNZ(operand.LabelRef(rounds))
	k.Comment("The second state waits where its rows will be.")
	for s := 1; s < states; s++ {
		for i, x := range z[16*s : 16*s+16] {
			k.VMOVDQA64(x, k.mem.stream.Offset(16*64*s+64*i))
		}
	}
	for s := range states {
		if s > 0 {
			for i, x := range z[:16] {
				k.VMOVDQA64(k.mem.stream.Offset(16*64*s+64*i), x)
			}
		}
		k.addStart(z[:16], s)
		k.rows(z[:16], z[16:32], k.mem.stream.Offset(16*64*s))
	}
	k.LEAQ(k.mem.stream, row)
	k.MOVQ(operand.U32(2*states), ready)
}

// startStates is RFC 8439, 2.3: constants, key, block number, nonce. The nonce
// is 4 bytes of zero and the counter.
func (k *kernel512) startStates(states int) {
	for s := range states {
		x := z[16*s : 16*s+16]
		for i := range 4 {
			k.VPBROADCASTD(k.table.sigma.Offset(4*i), x[i])
		}
		for i := range 8 {
			k.VPBROADCASTD(field(k.Context, work, "key").Offset(4*i), x[4+i])
		}
		k.VMOVDQA64(k.mem.blocks[s], x[12])
		k.VPXORD(x[13], x[13], x[13])
		k.VMOVDQA64(k.mem.nonce[0], x[14])
		k.VMOVDQA64(k.mem.nonce[1], x[15])
	}
}

// addStart adds what the state began with, and makes the block numbers the next.
func (k *kernel512) addStart(x []reg.VecPhysical, s int) {
	for i := range 4 {
		k.VPADDD_BCST(k.table.sigma.Offset(4*i), x[i], x[i])
	}
	for i := range 8 {
		k.VPADDD_BCST(field(k.Context, work, "key").Offset(4*i), x[4+i], x[4+i])
	}
	next := z[16]
	k.VMOVDQA64(k.mem.blocks[s], next)
	k.VPADDD(next, x[12], x[12])
	k.VPADDD_BCST(k.table.four, next, next)
	k.VMOVDQA64(next, k.mem.blocks[s])
	k.VPADDD(k.mem.nonce[0], x[14], x[14])
	k.VPADDD(k.mem.nonce[1], x[15], x[15])
}

// doubleRound is a round of columns and one of diagonals, of all states in turns.
func (k *kernel512) doubleRound(states int) {
	for diagonal := range 2 {
		for _, step := range quarterRound {
			for s := range states {
				x := z[16*s : 16*s+16]
				for i := range 4 {
					d := diagonal
					word := [4]reg.VecPhysical{x[i], x[4+(i+d)%4], x[8+(i+2*d)%4], x[12+(i+3*d)%4]}
					step(k, word)
				}
			}
		}
	}
}

// quarterRound is RFC 8439, 2.1, in steps of one instruction. Rotations by whole
// bytes are shuffles and the others are shifts: Intel's processors have one unit
// for either.
var quarterRound = [12]func(k *kernel512, x [4]reg.VecPhysical){
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[1], x[0], x[0]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[0], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPSHUFB(k.mem.rotate[0], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[3], x[2], x[2]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[2], x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(12), x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[1], x[0], x[0]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[0], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPSHUFB(k.mem.rotate[1], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[3], x[2], x[2]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[2], x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(7), x[1], x[1]) },
}

// rows transposes a state, 16 words of 16 blocks, and stores the blocks.
func (k *kernel512) rows(x, t []reg.VecPhysical, to operand.Mem) {
	k.Comment("Words 4g to 4g+3 of block 4q+i: 16 bytes in lane q of register 4g+i.")
	for g := 0; g < 16; g += 4 {
		x, t := x[g:g+4], t[g:g+4]
		k.VPUNPCKLDQ(x[1], x[0], t[0])
		k.VPUNPCKHDQ(x[1], x[0], t[1])
		k.VPUNPCKLDQ(x[3], x[2], t[2])
		k.VPUNPCKHDQ(x[3], x[2], t[3])
		k.VPUNPCKLQDQ(t[2], t[0], x[0])
		k.VPUNPCKHQDQ(t[2], t[0], x[1])
		k.VPUNPCKLQDQ(t[3], t[1], x[2])
		k.VPUNPCKHQDQ(t[3], t[1], x[3])
	}
	k.Comment("The four pieces of a block together.")
	for i := range 4 {
		t := t[4*i : 4*i+4]
		k.VSHUFI64X2(even, x[4+i], x[i], t[0])
		k.VSHUFI64X2(odd, x[4+i], x[i], t[1])
		k.VSHUFI64X2(even, x[12+i], x[8+i], t[2])
		k.VSHUFI64X2(odd, x[12+i], x[8+i], t[3])
		k.VSHUFI64X2(even, t[2], t[0], x[i])
		k.VSHUFI64X2(even, t[3], t[1], x[4+i])
		k.VSHUFI64X2(odd, t[2], t[0], x[8+i])
		k.VSHUFI64X2(odd, t[3], t[1], x[12+i])
		for q := range 4 {
			k.VMOVDQA64(x[4*q+i], to.Offset(rowSize*(4*q+i)))
		}
	}
}

// VSHUFI64X2 with these takes lanes of 128 bits, 0 and 2 or 1 and 3, of its
// second source and then of its first.
const (
	even = operand.U8(0x88)
	odd  = operand.U8(0xdd)
)
