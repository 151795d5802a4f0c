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
// scratch, a few blocks of it at a time, so that all stays in the first cache.
//
// The texts are worked on in rows of 64 bytes, one of each packet. The eight
// rows are transposed into columns, which give text or ciphertext by ^ with
// those of the key stream, and the result is transposed back. Two columns of the
// ciphertext are a block of Poly1305 for each of eight packets.
//
// Poly1305 takes four blocks at a time, by h = (h+m0)·r⁴ + m1·r³ + m2·r² + m3·r,
// so that only one in four multiplications waits for the one before, and one
// carry serves four blocks. Short texts are not worth the powers of r: theirs
// are taken one by one, at last.
type kernel512 struct {
	*build.Context
	poly   poly512
	mem    scratch512
	table  tables512
	states int // of ChaCha20 at once, as long as the texts are long enough
	labels int
}

// poly512 is the arithmetic modulo 2^130-5 in eight lanes of 64 bits. A number
// is in registers, little-endian, in limbs of as many bits as suit the
// multiplication. Sums and what else a poly512 keeps to itself are in z[16:32].
type poly512 interface {
	// limbs is how many limbs a number has; powerSize what keep stores, in bytes.
	limbs() int
	powerSize() int
	// constants loads what the other steps need.
	constants()
	// split makes limbs of 128 bits.
	split(lo, hi reg.VecPhysical, m []reg.VecPhysical)
	// withTop sets the bit above the 128 of a block.
	withTop(m []reg.VecPhysical)
	// keep stores a power of r with what the multiplication by it needs.
	keep(r []reg.VecPhysical, power operand.Mem)
	// multiply adds the product of m and a power to the sum, or begins the sum.
	multiply(m []reg.VecPhysical, power operand.Mem, begin bool)
	// carry makes the sum a number again, whose limbs are small enough to be
	// added to those of a block and be multiplied.
	carry(h []reg.VecPhysical)
	// finish reduces h completely; the lower 128 bits of it.
	finish(h []reg.VecPhysical, lo, hi reg.VecPhysical)
}

// scratch512 is the layout of the group's scratch, from its first address that
// is a multiple of 64: what a load takes from it never crosses a cache line.
type scratch512 struct {
	nonce             [2]operand.Mem // words 14 and 15
	blocks            [2]operand.Mem // word 12 of either state
	spilled           operand.Mem
	mask              operand.Mem    // the bytes of a row that belong to the text, if it is the last
	pad               [2]operand.Mem // the second half of the one-time keys
	stream, streamEnd operand.Mem    // columns of streamBlocks blocks, and room for one of Poly1305
	hash              operand.Mem    // of the text so far, in limbs
	powers            [4]operand.Mem // r, r², r³, r⁴
}

// tables512 are the constants in read-only memory.
type tables512 struct {
	sigma       operand.Mem // RFC 8439, 2.3
	firstBlocks operand.Mem // the numbers of the first four blocks, in the lanes of two states
	step        operand.Mem // from a state to the next
	clamp       operand.Mem // RFC 8439, 2.5
}

// Registers that keep their meaning throughout.
var (
	work    = reg.RDI
	scratch = reg.RSI // aligned
	texts   = [8]reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13, reg.R14, reg.R15}
	at      = reg.RAX // the position in every text, in bytes
	left    = reg.RCX // bytes of every text from there
	columns = reg.RBX // the next unused columns of the key stream
	ready   = reg.RDX // how many blocks of it are unused
	masked  = reg.K1  // the bytes of a row that belong to the text, if it is the last
)

var z = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// Registers of the part that works on texts: two sets of eight rows or columns,
// and two numbers.
var (
	these, those    = z[0:8], z[8:16]
	number, another = z[8:13], z[0:5]
)

const (
	rowSize      = 64
	columnsSize  = 8 * 64 // of a block, or of a row
	blockSize    = 2 * 64 // of Poly1305, two columns
	streamBlocks = 4
	// shortText is the length up to which a text has no more than one filling of
	// the key stream, so that its ciphertext stays there, and from which on the
	// powers of r are worth their price.
	shortText = (streamBlocks - 1) * rowSize
)

// avx512 is the kernel for AVX-512 F, BW, DQ and VL.
func avx512(c *build.Context) { write512(c, newLimbs26(c), 2) }

// avx512ifma is the kernel for those and IFMA.
func avx512ifma(c *build.Context) { write512(c, newLimbs44(c), 2) }

func write512(c *build.Context, poly poly512, states int) {
	k := kernel512{Context: c, poly: poly, states: states}
	k.Comment("The group: scratch, texts, nonces.")
	k.layOut()
	k.tables()
	k.loadGroup()
	k.loadNonces()

	k.Comment("The first key stream: its first block is the key of Poly1305.")
	k.LEAQ(k.mem.stream, columns)
	k.LEAQ(operand.Mem{Base: left, Disp: rowSize}, at)
	k.nextStream(at, "oneTimeKey")
	k.Label("oneTimeKey")
	k.oneTimeKey()
	k.CMPQ(left, operand.U32(shortText))
	k.JBE(operand.LabelRef("powersDone"))
	k.powers()
	k.Label("powersDone")

	k.Comment("The texts.")
	k.XORL(at.As32(), at.As32())
	k.texts()
	k.lastBlocks()
	k.tags()
	k.forget()
	k.VZEROUPPER()
	k.RET()
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
	k.mem.blocks = [2]operand.Mem{take(64), take(64)}
	k.mem.spilled, k.mem.mask = take(64), take(64)
	k.mem.pad = [2]operand.Mem{take(64), take(64)}
	k.mem.stream = take(streamBlocks * columnsSize)
	k.mem.streamEnd = take(blockSize)
	k.mem.hash = take(64 * k.poly.limbs())
	for i := range k.mem.powers {
		k.mem.powers[i] = take(k.poly.powerSize())
	}
}

func (k *kernel512) tables() {
	k.table = tables512{
		sigma: table(k.Context, "sigma", 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574),
		firstBlocks: table(k.Context, "firstBlocks",
			0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1,
			2, 2, 3, 3, 2, 2, 3, 3, 2, 2, 3, 3, 2, 2, 3, 3),
		step:  table(k.Context, "step", uint32(2*k.states)),
		clamp: table(k.Context, "clamp", 0x0fffffff, 0x0ffffffc, 0x0ffffffc, 0x0ffffffc),
	}
}

// newLabel is a label that no other has.
func (k *kernel512) newLabel(name string) string {
	k.labels++
	return fmt.Sprintf("%s%d", name, k.labels)
}

// loadGroup loads the addresses of the texts and their length.
func (k *kernel512) loadGroup() {
	offsets := field(k.Context, work, "offset")
	k.Load(k.Param("base"), at)
	for i, text := range texts {
		k.MOVQ(offsets.Offset(8*i), text)
		k.ADDQ(at, text)
	}
	k.MOVQ(field(k.Context, work, "length"), left)
}
