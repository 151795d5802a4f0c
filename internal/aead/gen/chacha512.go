package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loadKeys stores the words of the keys in the lanes of a state. The registers
// of the texts hold the addresses of the keys meanwhile.
func (k *kernel512) loadKeys() {
	keys := texts
	k.loadPointers("key", keys)
	first, second, low, high, word := z[16], z[17], z[18], z[19], z[20]
	for half := range 2 {
		k.Comment("Four words of every other key: of a, c, e and g, and of b, d, f and h.")
		for packet, key := range keys {
			from, to := operand.Mem{Base: key, Disp: 16 * half}, [2]reg.VecPhysical{first, second}[packet%2]
			if packet < 2 {
				k.VMOVDQU64(from, to.AsX())
				continue
			}
			k.VINSERTI64X2(operand.U8(packet/2), from, to, to)
		}
		k.VPUNPCKLDQ(second, first, low)
		k.VPUNPCKHDQ(second, first, high)
		for i := range 4 {
			two := [2]reg.VecPhysical{low, high}[i/2]
			k.VPSHUFD([2]operand.U8{0x44, 0xee}[i%2], two, word)
			k.VMOVDQA64(word, k.mem.key[4*half+i])
		}
	}
}

// beginStates prepares the values that all states of the group begin with. In
// the first round only column 0 contains the block counter. The quarter rounds
// of the other columns are the same for all blocks of a packet and are computed
// here, once.
func (k *kernel512) beginStates() {
	counters := z[16]
	k.VMOVDQU64(field(k.Context, work, "counter"), counters)
	for i, halves := range []operand.U8{0x88, 0xdd} {
		k.VPSHUFD(halves, counters, state[14+i])
		k.VMOVDQA64(state[14+i], k.mem.nonce[i])
	}
	k.Comment("The nonce is 4 zero bytes and the counter.")
	k.VPXORD(state[13], state[13], state[13])
	for word := range 12 {
		if word%4 > 0 {
			k.loadWord(word)
		}
	}
	for _, step := range quarterRound {
		for i := 1; i < 4; i++ {
			step(k, quarter(i, 0))
		}
	}
	for word, firstRound := range k.mem.firstRound {
		if word%4 > 0 {
			k.VMOVDQA64(state[word], firstRound)
		}
	}
	k.VMOVDQU64(k.table.firstBlocks, z[16])
	k.VMOVDQA64(z[16], k.mem.blockCounters)
}

// loadWord loads a word of the constants or of the keys (RFC 8439, section 2.3)
// into all lanes.
func (k *kernel512) loadWord(word int) {
	if word < 4 {
		k.VPBROADCASTD(k.table.sigma.Offset(4*word), state[word])
		return
	}
	k.VMOVDQA64(k.mem.key[word-4], state[word])
}

// beginState emits the first two of the ten double rounds of the next state.
func (k *kernel512) beginState() {
	k.Comment("A state: column 0, and the others after their first quarter round.")
	for word, firstRound := range k.mem.firstRound {
		switch {
		case word%4 > 0:
			k.VMOVDQA64(firstRound, state[word])
		case word < 12:
			k.loadWord(word)
		default:
			k.VMOVDQA64(k.mem.blockCounters, state[word])
		}
	}
	for _, step := range quarterRound {
		step(k, quarter(0, 0))
	}
	k.doubleRounds(2)[roundSteps:].emit()
}

// moreRounds emits the other eight double rounds, not interleaved.
func (k *kernel512) moreRounds() {
	rounds := k.newLabel("rounds")
	k.MOVQ(operand.U32(4), left)
	k.Label(rounds)
	k.doubleRounds(2).emit()
	k.DECQ(left)
	k.JNZ(operand.LabelRef(rounds))
}

// doubleRounds returns the steps of count double rounds.
func (k *kernel512) doubleRounds(count int) (s stream) {
	for diagonal := range 2 * count {
		for _, step := range quarterRound {
			for i := range 4 {
				s = append(s, func() { step(k, quarter(i, diagonal%2)) })
			}
		}
	}
	return s
}

// quarter returns the words of column i, or of the diagonal that begins in it.
func quarter(i, diagonal int) [4]reg.VecPhysical {
	return [4]reg.VecPhysical{state[i], state[4+(i+diagonal)%4], state[8+(i+2*diagonal)%4], state[12+(i+3*diagonal)%4]}
}

// storeColumns adds the initial state and stores the columns of the two blocks.
func (k *kernel512) storeColumns(to operand.Mem) {
	for q := range 8 {
		even, odd, t := state[2*q], state[2*q+1], setA[q]
		k.addStart(even, 2*q)
		k.addStart(odd, 2*q+1)
		k.VPUNPCKLDQ(odd, even, t)
		k.VPUNPCKHDQ(odd, even, even)
		k.VMOVDQA64(t, to.Offset(64*q))
		k.VMOVDQA64(even, to.Offset(columnsSize+64*q))
	}
	t := setA[0]
	k.VPBROADCASTD(k.table.step, t)
	k.VPADDD(k.mem.blockCounters, t, t)
	k.VMOVDQA64(t, k.mem.blockCounters)
}

// addStart adds the word of the initial state.
func (k *kernel512) addStart(x reg.VecPhysical, word int) {
	switch {
	case word < 4:
		k.VPADDD_BCST(k.table.sigma.Offset(4*word), x, x)
	case word < 12:
		k.VPADDD(k.mem.key[word-4], x, x)
	case word == 12:
		k.VPADDD(k.mem.blockCounters, x, x)
	case word > 13:
		k.VPADDD(k.mem.nonce[word-14], x, x)
	}
}

const roundSteps = 4 * len(quarterRound)

// quarterRound has the steps of a quarter round (RFC 8439, section 2.1), of one
// instruction each.
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
