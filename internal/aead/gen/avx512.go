package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels for AVX-512 work on eight packets at once, one in each lane.
//
// ChaCha20 has a lane of 32 bits for a block: a state is 16 registers, one for
// each word of the block, and each has two blocks of eight packets in its lanes,
//
//	a.0 b.0 a.1 b.1 | c.0 d.0 c.1 d.1 | e.0 f.0 e.1 f.1 | g.0 h.0 g.1 h.1
//
// so that one shuffle of the words 2q and 2q+1 makes column q of all packets,
// that is eight bytes of each in a lane of 64 bits: VPUNPCKLDQ that of block 0,
// VPUNPCKHDQ that of block 1. The columns of the key stream go through the
// scratch, four blocks of it at a time, so that all stays in the first cache.
//
// The texts are worked on in rows of 64 bytes, one of each packet. The eight
// rows are transposed into columns, which give text or ciphertext by ^ with
// those of the key stream, and the result is transposed back. Two columns of the
// ciphertext are a block of Poly1305 for each of eight packets.
//
// Poly1305 takes the four blocks of a row at a time, by h = (h+m0)·r⁴ + m1·r³ +
// m2·r² + m3·r, so that only one in four multiplications waits for the one
// before, and one carry serves four blocks. Those of the last rows are taken one by
// one.
//
// ChaCha20 has one half of the registers, all else has the other, and both are
// done at once, instruction by instruction: two rows are encrypted and hashed
// while the key stream of the next two is made. That is more than convenient.
// A processor that multiplies often in 512 bits lowers its clock, for all that
// it does in the next milliseconds; one multiplication in five or six
// instructions is not often.
type kernel512 struct {
	*build.Context
	poly   poly512
	mem    scratch512
	table  tables512
	labels int
}

// poly512 is the arithmetic modulo 2^130-5 in eight lanes of 64 bits. A number
// is in registers, little-endian, in limbs of as many bits as suit the
// multiplication. Sums and what else a poly512 keeps to itself are in z[23:32].
type poly512 interface {
	// limbs is how many limbs a number has.
	limbs() int
	// powerSize is how many bytes there are for power i of r, from r to r⁴.
	powerSize(i int) int
	// constants loads what the other steps need.
	constants()
	// split makes limbs of 128 bits.
	split(lo, hi reg.VecPhysical, m []reg.VecPhysical)
	// setTopBit sets the bit above the 128 of a block.
	setTopBit(m []reg.VecPhysical)
	// storePower stores a power of r with what the multiplication by it needs.
	storePower(r []reg.VecPhysical, power operand.Mem)
	// storeFactors stores what addBlocks needs of r, r² and r³, which have been kept.
	storeFactors(powers [4]operand.Mem)
	// multiply adds the product of m and a power to the sum, or begins the sum.
	multiply(m []reg.VecPhysical, power operand.Mem, begin bool)
	// addBlocks adds the products of the second to fourth block of a row and r³
	// to r to the sum.
	addBlocks(row operand.Mem, powers [4]operand.Mem)
	// carry makes the sum a number again, whose limbs are small enough to be
	// added to those of a block and be multiplied.
	carry(h []reg.VecPhysical)
	// finish reduces h completely; the lower 128 bits of it.
	finish(h []reg.VecPhysical, lo, hi reg.VecPhysical)
}

// scratch512 is the layout of the group's scratch, from its first address that
// is a multiple of 64: what a load takes from it never crosses a cache line.
type scratch512 struct {
	nonce               [2]operand.Mem  // words 14 and 15
	blockCounters       operand.Mem     // word 12, the numbers of the next two blocks
	firstRound          [16]operand.Mem // the words of columns 1 to 3 after the first quarter rounds
	mask                operand.Mem     // the bytes of a row that belong to the text, if it is the last
	pad                 [2]operand.Mem  // the second half of the one-time keys
	stream              [2]operand.Mem  // columns of two blocks each, and behind them room for a block of Poly1305
	plain               operand.Mem     // columns of the text that is not hashed
	nextStream          operand.Mem     // the address of that half of stream that the next columns go to
	lastAt, lastColumns operand.Mem     // the position where the last rows begin, and their columns
	hash                operand.Mem     // of the text so far, in limbs
	powers              [4]operand.Mem  // r, r², r³, r⁴
}

// tables512 are the constants in read-only memory.
type tables512 struct {
	sigma       operand.Mem // RFC 8439, 2.3
	firstBlocks operand.Mem // the numbers of the first two blocks, in the lanes of a state
	step        operand.Mem // from a state to the next
	clamp       operand.Mem // RFC 8439, 2.5
}

// Registers that keep their meaning throughout.
var (
	work    = reg.RDI
	scratch = reg.RSI // aligned
	texts   = [8]reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15}
	at      = reg.RAX // the position in every text, in bytes
	columns = reg.RBX // the next unused columns of the key stream
	masked  = reg.K1  // the bytes of a row that belong to the text, if it is the last
)

// Registers with two meanings: between rows left is in one of them, the bytes of
// every text from the position on; in a row they are where the columns go that
// came, and those that go.
var (
	left              = reg.RCX
	inputTo, outputTo = reg.RCX, reg.RDX
)

var z = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// Registers of vectors: one half of them is the state of ChaCha20; the other has
// two sets of eight rows or columns, or a number, the columns it is made of, and
// what a poly512 needs.
var (
	state        = z[0:16]
	setA         = z[16:24]
	setB         = z[24:32]
	number       = z[16:21]
	lower, upper = z[21], z[22]
)

const (
	rowSize     = 64
	columnsSize = 8 * 64 // of a block, or of a row
	blockSize   = 2 * 64 // of Poly1305, two columns
	// shortText is the length up to which the powers of r are not worth their price.
	shortText = 2 * rowSize
)

// avx512 is the kernel for AVX-512 F, BW, DQ and VL.
func avx512(c *build.Context) { emit512(c, newLimbs26(c)) }

// avx512ifma is the kernel for those and IFMA.
func avx512ifma(c *build.Context) { emit512(c, newLimbs44(c)) }

func emit512(c *build.Context, poly poly512) {
	k := kernel512{Context: c, poly: poly}
	k.Comment("The group: scratch, texts, nonces.")
	k.layOut()
	k.tables()
	k.loadGroup()
	k.beginStates()

	k.Comment("The first two blocks of key stream: one is the key of Poly1305, one for the first row.")
	k.LEAQ(k.mem.stream[0], columns)
	k.beginState()
	k.moreRounds()
	k.storeColumns(operand.Mem{Base: columns})
	k.oneTimeKey()
	k.XORL(at.As32(), at.As32())
	k.CMPQ(field(c, work, "length"), operand.Imm(rowSize))
	k.JBE(operand.LabelRef("lastRows"))
	k.CMPQ(field(c, work, "length"), operand.U32(shortText))
	k.JBE(operand.LabelRef("short"))

	k.Comment("The next two, and meanwhile the powers of r and the first row.")
	k.LEAQ(k.mem.stream[1], inputTo)
	k.MOVQ(inputTo, k.mem.nextStream)
	k.beginState()
	k.emitWith(k.doubleRounds(4), k.powers)
	k.JMP(operand.LabelRef("row"))

	k.loop()
	k.lastRows()
	k.lastBlocks()
	k.tags()
	k.erase()
	k.VZEROUPPER()
	k.RET()
	k.shortTexts()
}

// layOut decides what is where in the scratch and aligns it.
func (k *kernel512) layOut() {
	k.Load(k.Param("work"), work)
	start := field(k.Context, work, "scratch")
	k.LEAQ(start.Offset(63), scratch)
	k.ANDQ(operand.I8(-64), scratch)
	next := 0
	take := func(size int) operand.Mem {
		m := operand.Mem{Base: scratch, Disp: next}
		next += size
		return m
	}
	k.mem.nonce = [2]operand.Mem{take(64), take(64)}
	k.mem.blockCounters = take(64)
	for word := range k.mem.firstRound {
		if word%4 > 0 {
			k.mem.firstRound[word] = take(64)
		}
	}
	k.mem.mask = take(64)
	k.mem.pad = [2]operand.Mem{take(64), take(64)}
	k.mem.stream = [2]operand.Mem{take(2 * columnsSize), take(2*columnsSize + blockSize)}
	k.mem.plain = take(columnsSize)
	k.mem.nextStream, k.mem.lastAt, k.mem.lastColumns = take(8), take(8), take(8)
	take(40)
	k.mem.hash = take(64 * k.poly.limbs())
	for i := range k.mem.powers {
		k.mem.powers[i] = take(k.poly.powerSize(i))
	}
	if next > scratch512Size {
		panic(fmt.Sprintf("%d bytes of scratch are too few: see group.go", scratch512Size))
	}
}

// scratch512Size is what group.go has room for, from a multiple of 64 on.
const scratch512Size = 9728

func (k *kernel512) tables() {
	k.table = tables512{
		sigma:       table(k.Context, "sigma", 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574),
		firstBlocks: table(k.Context, "firstBlocks", repeat(4, 0, 0, 1, 1)...),
		step:        table(k.Context, "step", 2),
		clamp:       table(k.Context, "clamp", 0x0fffffff, 0x0ffffffc, 0x0ffffffc, 0x0ffffffc),
	}
}

// newLabel is a label that no other has.
func (k *kernel512) newLabel(name string) string {
	k.labels++
	return fmt.Sprintf("%s%d", name, k.labels)
}

// loadGroup loads the addresses of the texts.
func (k *kernel512) loadGroup() {
	offsets := field(k.Context, work, "offset")
	k.Load(k.Param("base"), at)
	for i, text := range texts {
		k.MOVQ(offsets.Offset(8*i), text)
		k.ADDQ(at, text)
	}
}
