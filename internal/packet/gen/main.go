// Command gen writes the assembly of internal/packet and the declarations of its
// functions. Run it with go generate ./internal/packet; it writes into the
// folder above the one it is run in.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	vector  = 32 // bytes
	vectors = 2  // vectors in one block of the loop, each with a sum of its own
	block   = vectors * vector

	// prefetchDistance is how far before it is written a line of dst is asked for: the
	// processor does not by itself ask early enough. From 256 to 512 it hardly matters.
	prefetchDistance = 256
)

// The words of a checksum are unsigned, and the instruction that adds pairs of
// words (VPMADDWD, here multiplied by 1) takes them for signed. So the highest
// bit of each is turned over: v becomes v-32768 as a signed word, and 32768 is
// added for each word afterwards.
//
// A sum has 32 bits. Each block adds a pair to it, of 17 bits; in the end two of
// them come together, and two of 25 bits: so the 15,625 blocks of 1,000,000 bytes
// are safe, of any value. The longest packet has 1,023.
func main() {
	ConstraintExpr("amd64")
	ends := blockEnds()
	TEXT("sumAVX2", NOSPLIT, "func(src *byte, n int) uint64")
	Pragma("noescape")
	Doc("sumAVX2 is the sum of n bytes from src, 64 to 1,000,000, in words, the last of which",
		"may lack a byte.")
	sumBytes(ends)

	TEXT("copyPacketsAVX2", NOSPLIT, "func(dst *byte, stride int, headers *byte, h int, payload *byte, size int, sums *uint64, count int)")
	Pragma("noescape")
	Doc("copyPacketsAVX2 writes count packets, the first to dst, each other one stride bytes further on:",
		"h bytes of headers, and the next size bytes of payload, the sum of which, as by",
		"sumAVX2, is written to sums. Behind the headers, 31 bytes more can be read.")
	copyPackets(ends)
	Generate()
}

// sumBytes is the body of sumAVX2.
func sumBytes(ends Mem) {
	a := newAdder(ends, Load(Param("src"), GP64()), nil)
	Store(a.sum(Load(Param("n"), GP64())), ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// copyPackets is the body of copyPacketsAVX2.
func copyPackets(ends Mem) {
	dst, h := Load(Param("dst"), GP64()), Load(Param("h"), GP64())
	size, sums := Load(Param("size"), GP64()), Load(Param("sums"), GP64())
	count := Load(Param("count"), GP64())
	a := newAdder(ends, Load(Param("payload"), GP64()), GP64())
	Label("packet")
	// Of the headers, whole vectors are copied: what is too much gives way to the payload.
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

// adder adds up bytes, and copies them if there is a dst.
type adder struct {
	src, dst   Register // of the next block
	ends       Mem
	flip, ones VecVirtual
}

func newAdder(ends Mem, src, dst Register) *adder {
	return &adder{src: src, dst: dst, ends: ends, flip: constant(0x8000), ones: constant(1)}
}

// sum is that of n bytes, behind which src is then.
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

// words is vector i of a block, each pair of words added, less 65536. Where there
// is a mask, words count only where it has ones.
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

// rest adds what whole blocks have left over of n bytes. It is read as a block that
// ends where they end, without those that were added before. If n is odd, it
// begins at an odd place, where the two bytes of each word are exchanged; to
// multiply by 256 exchanges them again, since 65536 counts as 1 in these sums.
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

// constant is a vector with the word in each place.
func constant(word uint64) VecVirtual {
	r, v := GP32(), YMM()
	MOVL(Imm(word<<16|word), r)
	VMOVD(r, v.AsX())
	VPBROADCASTD(v.AsX(), v)
	return v
}

// join adds all signed 32-bit sums to one of 64 bits.
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
	VPSHUFD(Imm(0x4e), lower.AsX(), upper.AsX()) // the halves exchanged
	VPADDQ(upper.AsX(), lower.AsX(), lower.AsX())
	VMOVQ(lower.AsX(), result)
	return result
}

// blockEnds is a mask that leaves the last r bytes of a block, for every r: r bytes
// from its beginning.
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
