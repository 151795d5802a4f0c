// Command gen generates the assembly of internal/packet and the declarations of
// its functions. Run it with go generate ./internal/packet; it writes to the
// parent of the folder that it runs in.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	vector  = 32 // bytes
	vectors = 2  // in a block, each with its own sums
	block   = vectors * vector

	// prefetchDistance is how far ahead of the writes dst is prefetched: the
	// processor's own prefetch is too late. Values from 256 to 512 hardly
	// differ.
	prefetchDistance = 256
)

// The words of a checksum are unsigned, but the instruction that adds pairs of
// words (VPMADDWD, here with a factor of 1) treats them as signed. So the
// highest bit of each word is inverted, which turns v into v-32768 as a signed
// word, and 32768 for each word is added at the end.
//
// The sums have 32 bits. Each block adds a pair of words, of 17 bits, to each
// sum. At the end two sums are added, and two numbers of 25 bits. So the 15,625
// blocks of 1,000,000 bytes cannot overflow. The longest packet has 1,023
// blocks.
func main() {
	ConstraintExpr("amd64")
	ends := blockEnds()
	TEXT("sumAVX2", NOSPLIT, "func(src *byte, n int) uint64")
	Pragma("noescape")
	Doc("sumAVX2 returns the sum of the 16-bit words in the n bytes at src, 64 to",
		"1,000,000. An odd last byte counts as a word whose second byte is zero.")
	sumBytes(ends)

	TEXT("copyPacketsAVX2", NOSPLIT, "func(dst *byte, stride int, headers *byte, h int, payload *byte, size int, sums *uint64, count int)")
	Pragma("noescape")
	Doc("copyPacketsAVX2 writes count packets, the first to dst, each other one stride",
		"bytes after the one before: h bytes of headers, then the next size bytes of",
		"payload. It writes the sum of each payload, as by sumAVX2, to sums. 31 bytes",
		"after the headers must be readable.")
	copyPackets(ends)
	Generate()
}

// sumBytes emits the body of sumAVX2.
func sumBytes(ends Mem) {
	a := newAdder(ends, Load(Param("src"), GP64()), nil)
	Store(a.sum(Load(Param("n"), GP64())), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// copyPackets emits the body of copyPacketsAVX2.
func copyPackets(ends Mem) {
	dst, h := Load(Param("dst"), GP64()), Load(Param("h"), GP64())
	size, sums := Load(Param("size"), GP64()), Load(Param("sums"), GP64())
	count := Load(Param("count"), GP64())
	a := newAdder(ends, Load(Param("payload"), GP64()), GP64())
	Label("packet")
	// Copy the headers in whole vectors; the payload overwrites what is too
	// much.
	from, v := Load(Param("headers"), GP64()), YMM()
	MOVQ(dst, a.dst)
	ADDQ(h, dst)
	Label("headers")
	VMOVDQU(Mem{Base: from}, v)
	VMOVDQU(v, Mem{Base: a.dst})
	ADDQ(Imm(vector), from)
	ADDQ(Imm(vector), a.dst)
	CMPQ(a.dst, dst)
	JB(LabelRef("headers"))

	MOVQ(dst, a.dst)
	MOVQ(a.sum(size), Mem{Base: sums})
	ADDQ(Imm(8), sums)
	SUBQ(h, dst)
	stride, _ := Param("stride").Resolve()
	ADDQ(stride.Addr, dst)
	DECQ(count)
	JNZ(LabelRef("packet"))
	VZEROUPPER()
	RET()
}

// An adder emits code that adds up bytes, and also copies them if it has a dst.
type adder struct {
	src, dst   Register // of the next block
	ends       Mem
	flip, ones VecVirtual
}

func newAdder(ends Mem, src, dst Register) *adder {
	return &adder{src: src, dst: dst, ends: ends, flip: constant(0x8000), ones: constant(1)}
}

// sum emits the sum of n bytes. src and dst end up after these bytes.
func (a *adder) sum(n Register) GPVirtual {
	sums := [vectors]VecVirtual{YMM(), YMM()}
	for _, s := range sums {
		VPXOR(s, s, s)
	}
	blocks, flipped := GP64(), GP64()
	MOVQ(n, blocks)
	SHRQ(Imm(6), blocks)
	MOVQ(blocks, flipped)
	Label("next")
	if a.dst != nil {
		PREFETCHT0(Mem{Base: a.dst, Disp: prefetchDistance})
	}
	for i, s := range sums {
		VPADDD(a.words(i, nil), s, s)
	}
	ADDQ(Imm(block), a.src)
	if a.dst != nil {
		ADDQ(Imm(block), a.dst)
	}
	DECQ(blocks)
	JNZ(LabelRef("next"))

	VPADDD(a.rest(n), sums[0], sums[0])
	sum := join(sums)
	SHLQ(Imm(20), flipped) // 32 words of 32768 in each block
	ADDQ(flipped, sum)
	return sum
}

// words loads vector i of a block and adds each pair of words, less 65536. With
// a mask, the bits that it lacks count as zero.
func (a *adder) words(i int, mask *Mem) VecVirtual {
	words, from := YMM(), Op(Mem{Base: a.src, Disp: i * vector})
	if a.dst != nil {
		v := YMM()
		VMOVDQU(from, v)
		VMOVDQU(v, Mem{Base: a.dst, Disp: i * vector})
		from = v
	}
	if mask != nil {
		v := YMM()
		VMOVDQU(mask.Offset(i*vector), v)
		VPAND(from, v, v)
		from = v
	}
	VPXOR(from, a.flip, words)
	VPMADDWD(words, a.ones, words)
	return words
}

// rest emits the sum of the bytes of n that do not fill a block. It reads the
// block that ends where the n bytes end, and masks the bytes that were already
// added. If n is odd, this block begins at an odd offset, so the two bytes of
// each word are exchanged; multiplying by 256 exchanges them again, since 65536
// counts as 1.
func (a *adder) rest(n Register) VecVirtual {
	left, mask, odd := GP64(), GP64(), GP64()
	MOVQ(n, left)
	MOVQ(n, odd)
	ANDQ(Imm(block-1), left)
	LEAQ(a.ends, mask)
	ADDQ(left, mask)
	LEAQ(Mem{Base: a.src, Index: left, Scale: 1, Disp: -block}, a.src)
	if a.dst != nil {
		LEAQ(Mem{Base: a.dst, Index: left, Scale: 1, Disp: -block}, a.dst)
	}
	sum, shift := YMM(), XMM()
	VPSLLD(Imm(17), a.ones, sum) // 32768 for each word of two pairs
	for i := range vectors {
		VPADDD(a.words(i, &Mem{Base: mask}), sum, sum)
	}
	ANDQ(Imm(1), odd)
	SHLQ(Imm(3), odd)
	VMOVQ(odd, shift)
	VPSLLD(shift, sum, sum)
	ADDQ(Imm(block), a.src)
	return sum
}

// constant returns a vector with the word in each lane.
func constant(word uint64) VecVirtual {
	r, v := GP32(), YMM()
	MOVL(Imm(word<<16|word), r)
	VMOVD(r, v.AsX())
	VPBROADCASTD(v.AsX(), v)
	return v
}

// join adds all signed 32-bit sums into one of 64 bits.
func join(sums [vectors]VecVirtual) GPVirtual {
	all := sums[0]
	for _, s := range sums[1:] {
		VPADDD(s, all, all)
	}
	upper, lower, result := YMM(), YMM(), GP64()
	VEXTRACTI128(Imm(1), all, upper.AsX())
	VPMOVSXDQ(upper.AsX(), upper)
	VPMOVSXDQ(all.AsX(), lower)
	VPADDQ(upper, lower, lower)
	VEXTRACTI128(Imm(1), lower, upper.AsX())
	VPADDQ(upper.AsX(), lower.AsX(), lower.AsX())
	VPSHUFD(Imm(0x4e), lower.AsX(), upper.AsX()) // exchange the halves
	VPADDQ(upper.AsX(), lower.AsX(), lower.AsX())
	VMOVQ(lower.AsX(), result)
	return result
}

// blockEnds returns a table of masks: the one at offset r keeps the last r
// bytes of a block.
func blockEnds() Mem {
	m := GLOBL("blockEnds", RODATA|NOPTR)
	for i := range block / 8 {
		DATA(8*i, U64(0))
	}
	for i := range block / 8 {
		DATA(block+8*i, U64(1<<64-1))
	}
	return m
}
