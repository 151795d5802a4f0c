package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loadNonces prepares what the states begin with and is not the same for all
// lanes.
func (k *kernel512) loadNonces() {
	counters := z[0]
	k.VMOVDQU64(field(k.Context, work, "counter"), counters)
	for i, halves := range []operand.U8{0x88, 0xdd} {
		k.VPSHUFD(halves, counters, z[1])
		k.VMOVDQA64(z[1], k.mem.nonce[i])
	}
	for i, numbers := range k.mem.blocks {
		k.VMOVDQU64(k.table.firstBlocks.Offset(64*i), z[0])
		k.VMOVDQA64(z[0], numbers)
	}
}

// nextStream makes as many blocks of key stream as a round makes, or no more
// than needed bytes, and jumps to the label.
func (k *kernel512) nextStream(needed reg.GPPhysical, label string) {
	if k.states == 2 {
		one := k.newLabel("oneState")
		k.CMPQ(needed, operand.U32(2*rowSize))
		k.JBE(operand.LabelRef(one))
		k.keyStream(2)
		k.JMP(operand.LabelRef(label))
		k.Label(one)
	}
	k.keyStream(1)
	k.JMP(operand.LabelRef(label))
}

// keyStream makes the next two or four blocks of every packet.
func (k *kernel512) keyStream(states int) {
	k.startStates(states)
	rounds := k.newLabel("rounds")
	k.MOVQ(operand.U32(10), ready)
	k.Label(rounds)
	k.doubleRound(states)
	k.DECQ(ready)
	k.JNZ(operand.LabelRef(rounds))
	k.storeColumns(states)
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

// storeColumns adds what the states began with and stores the columns. There are
// two states in all registers or one in the lower half.
func (k *kernel512) storeColumns(states int) {
	t := z[31]
	if states == 2 {
		k.VMOVDQA64(t, k.mem.spilled)
	}
	for s := range states {
		x := z[16*s : 16*s+16]
		for q := range 8 {
			even, odd := x[2*q], x[2*q+1]
			if odd == t {
				t = z[0]
				k.VMOVDQA64(k.mem.spilled, odd)
			}
			k.addStart(even, 2*q, s)
			k.addStart(odd, 2*q+1, s)
			k.VPUNPCKLDQ(odd, even, t)
			k.VPUNPCKHDQ(odd, even, even)
			k.VMOVDQA64(t, operand.Mem{Base: columns, Disp: columnsSize*2*s + 64*q})
			k.VMOVDQA64(even, operand.Mem{Base: columns, Disp: columnsSize*(2*s+1) + 64*q})
		}
	}
	for _, numbers := range k.mem.blocks[:states] {
		k.VPBROADCASTD(k.table.step, t)
		k.VPADDD(numbers, t, t)
		k.VMOVDQA64(t, numbers)
	}
}

// addStart adds to a word what its state began with.
func (k *kernel512) addStart(x reg.VecPhysical, word, state int) {
	switch {
	case word < 4:
		k.VPADDD_BCST(k.table.sigma.Offset(4*word), x, x)
	case word < 12:
		k.VPADDD_BCST(field(k.Context, work, "key").Offset(4*(word-4)), x, x)
	case word == 12:
		k.VPADDD(k.mem.blocks[state], x, x)
	case word > 13:
		k.VPADDD(k.mem.nonce[word-14], x, x)
	}
}

// doubleRound is a round of columns and one of diagonals. Of two states one is
// three steps ahead, so that they do not want the same unit at the same time.
func (k *kernel512) doubleRound(states int) {
	const ahead, steps = 3, 2 * len(quarterRound)
	for t := range steps + ahead*(states-1) {
		for s := range states {
			step := t - ahead*s
			if step < 0 || step >= steps {
				continue
			}
			x, d := z[16*s:16*s+16], step/len(quarterRound)
			for i := range 4 {
				word := [4]reg.VecPhysical{x[i], x[4+(i+d)%4], x[8+(i+2*d)%4], x[12+(i+3*d)%4]}
				quarterRound[step%len(quarterRound)](k, word)
			}
		}
	}
}

// quarterRound is RFC 8439, 2.1, in steps of one instruction.
var quarterRound = [12]func(k *kernel512, x [4]reg.VecPhysical){
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[1], x[0], x[0]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[0], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(16), x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[3], x[2], x[2]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[2], x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(12), x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[1], x[0], x[0]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[0], x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(8), x[3], x[3]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPADDD(x[3], x[2], x[2]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPXORD(x[2], x[1], x[1]) },
	func(k *kernel512, x [4]reg.VecPhysical) { k.VPROLD(operand.Imm(7), x[1], x[1]) },
}
