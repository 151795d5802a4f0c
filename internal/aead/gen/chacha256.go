package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var y = [16]reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

// words256 are the words of the state: all but one are in registers, which
// leaves one spare register.
var words256 = [16]reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, nil, reg.Y11, reg.Y12, reg.Y13, reg.Y14,
}

var spare256 = reg.Y15

const wordSize = 32 // of one word of all states

// spill returns where one of the last eight words is while it has no register.
func (k *kernel256) spill(word int) operand.Mem { return k.mem.spill.Offset(wordSize * (word - 8)) }

// startState loads the initial state (RFC 8439, section 2.3) of all lanes.
func (k *kernel256) startState() {
	k.Comment("The state: constants, key, block counter, nonce.")
	for i, word := range words256 {
		start := k.mem.start.Offset(wordSize * i)
		if word == nil {
			k.VMOVDQA(start, spare256)
			k.VMOVDQA(spare256, k.spill(i))
			continue
		}
		k.VMOVDQA(start, word)
	}
}

// doubleRound returns a round of columns and one of diagonals. The quarter
// rounds of a round are interleaved, to hide the latency of the steps, and each
// is one step behind the one before: equal steps in succession would compete
// for the same few execution units.
func (k *kernel256) doubleRound() (all stream) {
	for diagonal := range 2 {
		var quarters [4][]stream
		for i := range 4 {
			quarters[i] = k.quarterRound(i, 4+(i+diagonal)%4, 8+(i+2*diagonal)%4, 12+(i+3*diagonal)%4)
		}
		steps := len(quarters[0])
		for time := range steps + 3 {
			for i, quarter := range quarters {
				if step := time - i; step >= 0 && step < steps {
					all = append(all, quarter[step]...)
				}
			}
		}
	}
	return all
}

// quarterRound returns the steps of a quarter round (RFC 8439, section 2.1).
func (k *kernel256) quarterRound(a, b, c, d int) (steps []stream) {
	A, B, C, D := words256[a], words256[b], words256[c], words256[d]
	for _, bits := range [2]struct{ d, b uint8 }{{16, 12}, {8, 7}} {
		steps = append(steps,
			stream{func() { k.VPADDD(B, A, A) }},
			stream{func() { k.VPXOR(A, D, D) }},
			k.rotate(D, bits.d))
		if C == nil {
			steps = append(steps, stream{}, stream{
				func() { k.VPADDD(k.spill(c), D, spare256) },
				func() { k.VMOVDQA(spare256, k.spill(c)) },
				func() { k.VPXOR(spare256, B, B) }})
		} else {
			steps = append(steps,
				stream{func() { k.VPADDD(D, C, C) }},
				stream{func() { k.VPXOR(C, B, B) }})
		}
		steps = append(steps, k.rotate(B, bits.b))
	}
	return steps
}

// rotate rotates the words of x. AVX2 has no rotation, so this shifts, or
// shuffles bytes.
func (k *kernel256) rotate(x reg.VecPhysical, bits uint8) stream {
	switch {
	case bits == 16:
		return stream{func() { k.VPSHUFB(k.rotate16, x, x) }}
	case bits == 8:
		return stream{func() { k.VPSHUFB(k.rotate8, x, x) }}
	}
	return stream{
		func() { k.VPSLLD(operand.U8(bits), x, spare256) },
		func() { k.VPSRLD(operand.U8(32-bits), x, x) },
		func() { k.VPOR(spare256, x, x) }}
}

// keyStream adds the initial states and passes each lane's 64 bytes to use, in
// two halves.
func (k *kernel256) keyStream(use func(lane, half int, bytes reg.VecPhysical)) {
	k.Comment("Spill the last eight words.")
	for i := 8; i < 16; i++ {
		if words256[i] != nil {
			k.VMOVDQA(words256[i], k.spill(i))
		}
	}
	for half := range 2 {
		for i := range 8 {
			start := k.mem.start.Offset(wordSize * (8*half + i))
			if half == 1 {
				k.VMOVDQA(k.spill(8+i), y[i])
			}
			k.VPADDD(start, y[i], y[i])
		}
		k.transpose(func(lane int, bytes reg.VecPhysical) { use(lane, half, bytes) })
	}
	k.Comment("The counters of the next blocks.")
	numbers := k.mem.start.Offset(12 * wordSize)
	k.VMOVDQA(numbers, y[0])
	k.VPADDD(k.mem.blocks, y[0], y[0])
	k.VMOVDQA(y[0], numbers)
}

// transpose turns eight words of eight lanes into 32 bytes of each lane, or the
// reverse, and passes the results to use.
func (k *kernel256) transpose(use func(i int, result reg.VecPhysical)) {
	for i := 0; i < 8; i += 4 {
		k.Comment("Four words of lanes 0 and 4, 1 and 5, 2 and 6, 3 and 7 in a register.")
		x, t := y[i:i+4], y[8+i:12+i]
		k.VPUNPCKLDQ(x[1], x[0], t[0])
		k.VPUNPCKHDQ(x[1], x[0], t[1])
		k.VPUNPCKLDQ(x[3], x[2], t[2])
		k.VPUNPCKHDQ(x[3], x[2], t[3])
		k.VPUNPCKLQDQ(t[2], t[0], x[0])
		k.VPUNPCKHQDQ(t[2], t[0], x[1])
		k.VPUNPCKLQDQ(t[3], t[1], x[2])
		k.VPUNPCKHQDQ(t[3], t[1], x[3])
	}
	for i := range 4 {
		k.VPERM2I128(operand.Imm(0x20), y[4+i], y[i], y[8+2*i])
		use(i, y[8+2*i])
		k.VPERM2I128(operand.Imm(0x31), y[4+i], y[i], y[9+2*i])
		use(4+i, y[9+2*i])
	}
}
