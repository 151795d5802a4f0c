package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// kernel256 is the kernel for AVX2 and BMI2. It processes eight blocks of
// ChaCha20 at once, one in each lane of 32 bits: one block of eight packets,
// two blocks of four, four of two or eight of one. With four packets, lanes 0
// to 3 have one block of each and lanes 4 to 7 the next. Tables tell which text
// each lane processes; the code is the same for all. Unused lanes have a dummy
// text in the scratch.
//
// An iteration processes eight blocks. The first one computes the one-time
// keys, which are in block 0 of the key stream. In a full iteration each lane
// has 64 bytes of text. Its rounds are interleaved with Poly1305 in general
// registers, which uses other execution units: of the text that this iteration
// will decrypt, or that the previous one encrypted. In all other iterations the
// available bytes of the text go through the scratch and are authenticated
// separately.
type kernel256 struct {
	*build.Context
	mem               scratch256
	rotate16, rotate8 operand.Mem
	poly              mulx
}

// Registers that keep their meaning in an iteration.
var (
	left256      = reg.R13 // bytes from the text of the first lane to its end
	mix          = reg.R14 // 1: the rounds of this iteration are mixed with Poly1305
	scratch256At = reg.R15 // aligned to 64
	lane8        = reg.RCX // 8 times the lane, where lanes are processed one by one
	sealing      = reg.X3  // all ones while encrypting, in a partial iteration
)

// scratch256 is the layout of the group's scratch.
type scratch256 struct {
	// What is erased after a run: see dirty256.
	start  operand.Mem // initial states, 16 words
	spill  operand.Mem // words 8 to 15 while there is no register for them
	stream operand.Mem // 64 bytes of key stream of each lane; before a part, 32 bytes of key
	otk    operand.Mem // the one-time key of each packet, see mulx
	dummy  operand.Mem // the text of lanes without a packet

	blocks operand.Mem // number of blocks of a packet in an iteration, in all lanes
	cipher operand.Mem // 64 bytes of ciphertext of each lane, padded with zeros

	// Tables of eight bytes for each lane. A lane without a packet has a step
	// of 0, an end equal to its text, and 0 for all.
	text operand.Mem // address of the text in this iteration
	step operand.Mem // distance to the text in the next iteration
	end  operand.Mem // address of the end of the text
	all  operand.Mem // number of blocks of Poly1305 in 64 bytes
	key  operand.Mem // address of the one-time key
	from operand.Mem // address of the blocks to authenticate next
	todo operand.Mem // number of these blocks

	total   operand.Mem // 8 times the number of packets in the group
	done    operand.Mem // 8 times the number of finished packets
	packets operand.Mem // 8 times the number of packets in progress
	first   operand.Mem // 8 times the first lane that has text in this iteration
	advance operand.Mem // bytes of one packet in an iteration
	minFull operand.Mem // minimum of left256 for a full iteration
}

// layOut assigns addresses in the scratch.
func (m *scratch256) layOut() {
	next := 0
	take := func(size int) operand.Mem {
		next += size
		return operand.Mem{Base: scratch256At, Disp: next - size}
	}
	m.start, m.spill, m.stream, m.otk, m.dummy = take(16*wordSize), take(8*wordSize), take(8*64), take(8*otkSize), take(64)
	if next+63 != dirty256 {
		panic(fmt.Sprintf("%d bytes of the scratch must be erased, and dirty256 is %d", next+63, dirty256))
	}
	m.blocks, m.cipher = take(64), take(8*64)
	for _, t := range []*operand.Mem{&m.text, &m.step, &m.end, &m.all, &m.key, &m.from, &m.todo} {
		*t = take(8 * 8)
	}
	for _, v := range []*operand.Mem{&m.total, &m.done, &m.packets, &m.first, &m.advance, &m.minFull} {
		*v = take(8)
	}
	if next > scratch512Size {
		panic("the kernel uses more than the scratch: see scratchSize")
	}
}

// dirty256 must equal the constant in package aead.
const dirty256 = 1919

// of returns the entry of a table for a lane.
func of(table operand.Mem, lane reg.Register) operand.Mem { return table.Idx(lane, 1) }

func to(label string) operand.LabelRef { return operand.LabelRef(label) }

// avx2 emits the kernel for AVX2 and BMI2.
func avx2(c *build.Context) {
	k := &kernel256{Context: c}
	k.mem.layOut()
	k.rotate16 = table(c, "rotateBy16", repeat(2, 0x01000302, 0x05040706, 0x09080b0a, 0x0d0c0f0e)...)
	k.rotate8 = table(c, "rotateBy8", repeat(2, 0x02010003, 0x06050407, 0x0a09080b, 0x0e0d0c0f)...)
	k.poly = mulx{Context: c, otk: reg.RSI, text: reg.RDI,
		h1: reg.R8, h2: reg.R9, d1: reg.R10, d2: reg.R11, low: reg.R12, t: reg.RAX, u: reg.RBX}

	k.setUp()
	k.Label("packets")
	k.setUpPart()
	k.loop()
	k.VZEROUPPER()
	k.RET()
}

// loop processes the packets that setUpPart selected, from beginning to end.
func (k *kernel256) loop() {
	k.Label("rounds")
	k.rounds()
	k.Label("rounded")
	k.ifOpen("stream", true)
	k.advance()
	k.Label("stream")
	k.CMPQ(left256, k.mem.minFull)
	k.JLT(to("part"))
	k.fullIteration()

	k.Label("next")
	k.SUBQ(k.mem.advance, left256)
	k.JLE(to("textsEnd"))
	k.ifOpen("mixedOrNot", false)
	k.Comment("Authenticate the text that this iteration will decrypt.")
	k.XORL(mix.As32(), mix.As32())
	k.advance()
	k.CMPQ(left256, k.mem.minFull)
	k.JLT(to("rounds"))
	k.INCL(mix.As32())
	k.Label("mixedOrNot")
	k.TESTQ(mix, mix)
	k.JZ(to("rounds"))
	k.mixedRounds()
	k.JMP(to("rounded"))

	k.Label("part")
	k.partialIteration()
	k.JMP(to("authenticate"))

	k.Label("textsEnd")
	k.Comment("Authenticate the text that the last iteration encrypted.")
	k.ifOpen("tags", true)
	k.TESTQ(mix, mix)
	k.JZ(to("tags"))
	k.copyTable(k.mem.text, k.mem.from)
	k.copyTable(k.mem.all, k.mem.todo)
	k.Label("authenticate")
	k.authenticate()
	k.TESTQ(left256, left256)
	k.JG(to("next"))

	k.Label("tags")
	k.tags()
}
