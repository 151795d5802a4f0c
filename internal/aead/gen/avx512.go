package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// kernel512 is a kernel for AVX-512. It processes eight packets at once.
//
// ChaCha20 uses a lane of 32 bits for each block. A state is 16 registers, one
// for each word of the block; their lanes have two blocks of each of eight
// packets,
//
//	a.0 b.0 a.1 b.1 | c.0 d.0 c.1 d.1 | e.0 f.0 e.1 f.1 | g.0 h.0 g.1 h.1
//
// so that one shuffle of the words 2q and 2q+1 yields column q of all packets,
// which is eight bytes of each, in lanes of 64 bits: VPUNPCKLDQ for block 0,
// VPUNPCKHDQ for block 1. The columns of the key stream are stored in the
// scratch, four blocks at a time, so that everything stays in the first-level
// cache.
//
// The texts are processed in rows of 64 bytes, one row of each packet at a
// time. The eight rows are transposed into columns and XORed with those of the
// key stream, and the result is transposed back. Two columns of the ciphertext
// are a block of Poly1305 for each of the eight packets.
//
// Poly1305 processes the four blocks of a row together, by h = (h+m0)·r⁴ +
// m1·r³ + m2·r² + m3·r, so that only one in four multiplications depends on the
// previous one, and one carry serves four blocks. The blocks of the last rows
// are processed one by one.
//
// ChaCha20 uses one half of the registers and everything else the other half,
// and the instructions of both are interleaved: two rows are encrypted and
// hashed while the key stream of the next two is computed. This also keeps the
// clock up: a processor that executes many 512-bit multiplications lowers its
// clock for milliseconds. One multiplication in five or six instructions does
// not cause that.
type kernel512 struct {
	*build.Context
	poly   poly512
	mem    scratch512
	table  tables512
	labels int
}

// poly512 is arithmetic modulo 2^130-5 in eight lanes of 64 bits. A number is
// in registers, as little-endian limbs whose size suits the multiplication. The
// sum and other internal values of a poly512 are in z[23:32].
type poly512 interface {
	// limbs returns the number of limbs of a number.
	limbs() int
	// powerSize returns how many bytes power i of r takes, for r to r⁴.
	powerSize(i int) int
	// constants loads the constants that the other methods need.
	constants()
	// split splits 128 bits into limbs.
	split(lo, hi reg.VecPhysical, m []reg.VecPhysical)
	// setTopBit sets the bit above the 128 bits of a block.
	setTopBit(m []reg.VecPhysical)
	// storePower stores a power of r with the values that multiply needs.
	storePower(r []reg.VecPhysical, power operand.Mem)
	// storeFactors stores the multiples of r, r² and r³, which storePower has
	// stored, that addBlocks needs.
	storeFactors(powers [4]operand.Mem)
	// multiply adds the product of m and a power to the sum, or begins the sum.
	multiply(m []reg.VecPhysical, power operand.Mem, begin bool)
	// addBlocks adds the products of the second, third and fourth block of a
	// row with r³, r² and r to the sum.
	addBlocks(row operand.Mem, powers [4]operand.Mem)
	// carry turns the sum into a number whose limbs are small enough to be
	// added to those of a block and multiplied.
	carry(h []reg.VecPhysical)
	// finish reduces h completely and puts its lower 128 bits into lo and hi.
	finish(h []reg.VecPhysical, lo, hi reg.VecPhysical)
}

// scratch512 is the layout of the group's scratch, from its first address that
// is a multiple of 64, so that no load crosses a cache line.
type scratch512 struct {
	key                 [8]operand.Mem  // words 4 to 11
	nonce               [2]operand.Mem  // words 14 and 15
	blockCounters       operand.Mem     // word 12, the counters of the next two blocks
	firstRound          [16]operand.Mem // words of columns 1 to 3 after the first quarter rounds
	mask                operand.Mem     // the bytes of the last row that belong to the text
	pad                 [2]operand.Mem  // second half of the one-time keys
	stream              [2]operand.Mem  // columns of two blocks each, then space for a block of Poly1305
	plain               operand.Mem     // columns of the plaintext, which is not hashed
	nextStream          operand.Mem     // address of the half of stream for the next columns
	lastAt, lastColumns operand.Mem     // position of the last rows, and their columns
	hash                operand.Mem     // accumulator of Poly1305, in limbs
	powers              [4]operand.Mem  // r, r², r³, r⁴
}

// tables512 are the constants in read-only memory.
type tables512 struct {
	sigma       operand.Mem // RFC 8439, section 2.3
	firstBlocks operand.Mem // counters of the first two blocks, in the lanes of a state
	step        operand.Mem // difference of the counters of successive states
	clamp       operand.Mem // RFC 8439, section 2.5
}

// Registers that keep their meaning throughout.
var (
	work    = reg.RDI
	scratch = reg.RSI // aligned
	texts   = [8]reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15}
	at      = reg.RAX // position in every text, in bytes
	columns = reg.RBX // address of the next unused columns of the key stream
	masked  = reg.K1  // the bytes of the last row that belong to the text
)

// Registers with two meanings: between rows, left is the number of bytes of
// every text after the position; within a row, inputTo and outputTo are the
// addresses where the columns are stored that were loaded and that were
// computed.
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

// The vector registers: one half is the state of ChaCha20. The other half has
// two sets of eight rows or columns, or a number, the columns that it is split
// from, and the values of a poly512.
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
	// shortText is the length up to which computing the powers of r does not
	// pay.
	shortText = 2 * rowSize
)

// avx512 emits the kernel for AVX-512 F, BW, DQ and VL.
func avx512(c *build.Context) { emit512(c, newLimbs26(c)) }

// avx512ifma emits the kernel for these and IFMA.
func avx512ifma(c *build.Context) { emit512(c, newLimbs44(c)) }

func emit512(c *build.Context, poly poly512) {
	k := kernel512{Context: c, poly: poly}
	k.Comment("The group: scratch, keys, texts, nonces.")
	k.layOut()
	k.tables()
	k.loadKeys()
	k.loadPointers("text", texts)
	k.beginStates()

	k.Comment("The first two blocks of key stream: the key of Poly1305, and that of the first row.")
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

	k.Comment("The next two blocks, interleaved with the powers of r and the first row.")
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

// layOut aligns the scratch and assigns addresses in it.
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
	for i := range k.mem.key {
		k.mem.key[i] = take(64)
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
		panic(fmt.Sprintf("the kernel needs %d bytes of scratch and group.go has %d", next, scratch512Size))
	}
}

// scratch512Size is the size of the scratch in group.go after alignment to 64.
const scratch512Size = 10240

func (k *kernel512) tables() {
	k.table = tables512{
		sigma:       table(k.Context, "sigma", 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574),
		firstBlocks: table(k.Context, "firstBlocks", repeat(4, 0, 0, 1, 1)...),
		step:        table(k.Context, "step", 2),
		clamp:       table(k.Context, "clamp", 0x0fffffff, 0x0ffffffc, 0x0ffffffc, 0x0ffffffc),
	}
}

// newLabel returns a unique label.
func (k *kernel512) newLabel(name string) string {
	k.labels++
	return fmt.Sprintf("%s%d", name, k.labels)
}

// loadPointers loads the addresses in a field of the group.
func (k *kernel512) loadPointers(name string, to [8]reg.GPPhysical) {
	from := field(k.Context, work, name)
	for i, pointer := range to {
		k.MOVQ(from.Offset(8*i), pointer)
	}
}
