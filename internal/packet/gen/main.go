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
	vector = 32 // bytes
	lines  = 2  // vectors in one turn of the loop, each with a sum of its own
	turn   = lines * vector
)

// The words of a checksum are unsigned, and the instruction that adds pairs of
// words (VPMADDWD, here multiplied by 1) takes them for signed. So the highest
// bit of each is turned over: v becomes v-32768 as a signed word, and whoever
// calls adds 32768 for each word afterwards.
//
// A sum has 32 bits. Each turn adds a pair to it, of 17 bits, and in the end
// two of them come together: so 16,000 turns are safe. The longest packet has 1,023.
func main() {
	ConstraintExpr("amd64")
	TEXT("sumAVX2", NOSPLIT, "func(src *byte, turns int) int64")
	Pragma("noescape")
	Doc("sumAVX2 adds the words of turns times 64 bytes from src, each less 32768. There",
		"are 1 to 16,000 turns.")
	body(false)

	TEXT("copySumAVX2", NOSPLIT, "func(dst, src *byte, turns int) int64")
	Pragma("noescape")
	Doc("copySumAVX2 does the same, and copies the bytes to dst.")
	body(true)
	Generate()
}

// body is that of either function.
func body(copying bool) {
	src := Load(Param("src"), GP64())
	turns := Load(Param("turns"), GP64())
	dst := src
	if copying {
		dst = Load(Param("dst"), GP64())
	}
	flip, ones := constant(0x8000), constant(1)
	sums := [lines]VecVirtual{YMM(), YMM()}
	for _, s := range sums {
		VPXOR(s, s, s)
	}
	Label("next")
	for i, s := range sums {
		words, from := YMM(), Op(Mem{Base: src, Disp: i * vector})
		if copying {
			v := YMM()
			VMOVDQU(from, v)
			VMOVDQU(v, Mem{Base: dst, Disp: i * vector})
			from = v
		}
		VPXOR(from, flip, words)
		VPMADDWD(words, ones, words)
		VPADDD(words, s, s)
	}
	ADDQ(Imm(turn), src)
	if copying {
		ADDQ(Imm(turn), dst)
	}
	DECQ(turns)
	JNZ(LabelRef("next"))

	Store(join(sums), ReturnIndex(0))
	VZEROUPPER()
	RET()
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
func join(sums [lines]VecVirtual) GPVirtual {
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
