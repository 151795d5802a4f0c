package emulate

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

var interesting = []uint64{0, 1, 2, 3, 63, 64, 65, 127, 128, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32,
	1<<63 - 1, 1 << 63, 1<<63 + 1, ^uint64(0) - 1, ^uint64(0), 0x0123456789abcdef, 0xfedcba9876543210}

// TestConditions checks that a jump after CMPQ a, b depends on the order of the
// numbers, unsigned and signed, and after CMPB and CMPL on that of their lower
// parts.
func TestConditions(t *testing.T) {
	holds := map[string]func(unsigned, signed, sign int) bool{
		"JEQ": func(u, _, _ int) bool { return u == 0 }, "JNE": func(u, _, _ int) bool { return u != 0 },
		"JB": func(u, _, _ int) bool { return u < 0 }, "JAE": func(u, _, _ int) bool { return u >= 0 },
		"JBE": func(u, _, _ int) bool { return u <= 0 }, "JA": func(u, _, _ int) bool { return u > 0 },
		"JLT": func(_, s, _ int) bool { return s < 0 }, "JGE": func(_, s, _ int) bool { return s >= 0 },
		"JLE": func(_, s, _ int) bool { return s <= 0 }, "JGT": func(_, s, _ int) bool { return s > 0 },
		"JMI": func(_, _, n int) bool { return n < 0 }, "JPL": func(_, _, n int) bool { return n >= 0 },
	}
	for suffix, bits := range map[string]uint{"Q": 64, "L": 32, "B": 8} {
		for jump, wanted := range holds {
			for _, a := range interesting {
				for _, b := range interesting {
					x, y := lowest(new(big.Int).SetUint64(a), bits), lowest(new(big.Int).SetUint64(b), bits)
					difference := signedNumber(lowest(sub(x, y), bits), bits)
					want := wanted(x.Cmp(y), signedNumber(x, bits).Cmp(signedNumber(y, bits)), difference.Sign())
					if got := jumps(t, "CMP"+suffix+" BX, CX", jump, a, b); got != want {
						t.Fatalf("CMP%s %#x, %#x; %s: taken: %v, want %v", suffix, a, b, jump, got, want)
					}
				}
			}
		}
	}
}

func signedNumber(x *big.Int, bits uint) *big.Int {
	if x.Bit(int(bits-1)) == 1 {
		return sub(x, powerOfTwo(bits))
	}
	return x
}

// jumps reports whether a jump is taken after an instruction with a in BX, b in
// CX.
func jumps(t *testing.T, instruction, jump string, a, b uint64) bool {
	t.Helper()
	data := numbers(a, b, 0)
	runText(t, `
		MOVQ data+0(FP), AX
		MOVQ (AX), BX
		MOVQ 8(AX), CX
		`+instruction+`
		`+jump+` taken
		RET
	taken:
		MOVQ $1, 16(AX)
		RET`, data)
	return binary.LittleEndian.Uint64(data[16:]) == 1
}

func numbers(list ...uint64) (b []byte) {
	for _, x := range list {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// TestArithmetic checks the result of each instruction on BX and CX, and the
// zero and sign flags.
func TestArithmetic(t *testing.T) {
	big64 := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	for text, want := range map[string]func(bx, cx *big.Int) *big.Int{
		"ADDQ CX, BX":          add,
		"SUBQ CX, BX":          sub,
		"ANDQ CX, BX":          and,
		"ORQ CX, BX":           or,
		"XORQ CX, BX":          xor,
		"ADDL CX, BX":          func(x, y *big.Int) *big.Int { return lowest(add(x, y), 32) },
		"XORL BX, BX":          func(x, y *big.Int) *big.Int { return new(big.Int) },
		"INCQ BX":              func(x, _ *big.Int) *big.Int { return add(x, big.NewInt(1)) },
		"DECQ BX":              func(x, _ *big.Int) *big.Int { return sub(x, big.NewInt(1)) },
		"NEGQ BX":              func(x, _ *big.Int) *big.Int { return new(big.Int).Neg(x) },
		"SHLQ $5, BX":          func(x, _ *big.Int) *big.Int { return left(x, 5) },
		"SHRQ $4, BX":          func(x, _ *big.Int) *big.Int { return right(x, 4) },
		"ADDQ $-16, BX":        func(x, _ *big.Int) *big.Int { return sub(x, big.NewInt(16)) },
		"ANDQ $-64, BX":        func(x, _ *big.Int) *big.Int { return andNot(big.NewInt(63), x) },
		"SUBQ 8(AX), BX":       sub,
		"ADDQ 8(AX), BX":       add,
		"SUBQ $0x00000100, BX": func(x, _ *big.Int) *big.Int { return sub(x, big.NewInt(256)) },
	} {
		for _, a := range interesting {
			for _, b := range interesting {
				data := numbers(a, b, 0)
				runText(t, "MOVQ data+0(FP), AX\nMOVQ (AX), BX\nMOVQ 8(AX), CX\n"+text+"\nMOVQ BX, 16(AX)\nRET", data)
				result := lowest(want(big64(a), big64(b)), 64)
				if got := binary.LittleEndian.Uint64(data[16:]); got != result.Uint64() {
					t.Fatalf("%s with BX %#x, CX %#x: %#x, want %#x", text, a, b, got, result)
				}
				if jumps(t, text, "JZ", a, b) != (result.Sign() == 0) {
					t.Fatalf("%s with BX %#x, CX %#x: wrong zero flag for %#x", text, a, b, result)
				}
				if strings.Contains(text, "Q ") && jumps(t, text, "JMI", a, b) != (result.Bit(63) == 1) {
					t.Fatalf("%s with BX %#x, CX %#x: wrong sign flag for %#x", text, a, b, result)
				}
			}
		}
	}
}

// TestCarry checks the carry of a sum, a difference and a shift, and that DEC
// does not change it.
func TestCarry(t *testing.T) {
	for text, want := range map[string]func(a, b uint64) bool{
		"ADDQ CX, BX":          func(a, b uint64) bool { return a+b < a },
		"SUBQ CX, BX":          func(a, b uint64) bool { return a < b },
		"TESTQ CX, BX":         func(a, b uint64) bool { return false },
		"SHRQ $3, BX":          func(a, b uint64) bool { return a>>2&1 == 1 },
		"SHLQ $3, BX":          func(a, b uint64) bool { return a>>61&1 == 1 },
		"CMPQ BX, CX\nDECQ BX": func(a, b uint64) bool { return a < b },
	} {
		for _, a := range interesting {
			for _, b := range interesting {
				if jumps(t, text, "JCS", a, b) != want(a, b) {
					t.Fatalf("%s with BX %#x, CX %#x: carry: %v, want %v", text, a, b, !want(a, b), want(a, b))
				}
			}
		}
	}
}

// TestShiftByCL checks that the count is taken modulo 64.
func TestShiftByCL(t *testing.T) {
	for _, a := range interesting {
		for n := range uint64(130) {
			data := numbers(a, n, 0, 0)
			runText(t, `
				MOVQ data+0(FP), AX
				MOVQ (AX), BX
				MOVQ BX, DX
				MOVQ 8(AX), CX
				SHLQ CL, BX
				SHRQ CX, DX
				MOVQ BX, 16(AX)
				MOVQ DX, 24(AX)
				RET`, data)
			if !slices.Equal(data[16:], numbers(a<<(n%64), a>>(n%64))) {
				t.Fatalf("%#x shifted by %d: %x, want %x", a, n, data[16:], numbers(a<<(n%64), a>>(n%64)))
			}
		}
	}
}

// TestMovesOfNumbers checks how many bytes are read and written, and what
// happens to the rest of a register.
func TestMovesOfNumbers(t *testing.T) {
	const a, b = 0x1122334455667788, 0xfedcba9876543210
	for text, want := range map[string]uint64{
		"MOVQ BX, CX":                    a,
		"MOVL BX, CX":                    0x55667788,
		"MOVQ 3(AX), CX":                 0x5432101122334455,
		"MOVL (AX), CX":                  0x55667788,
		"MOVBLZX (AX), CX":               0x88,
		"MOVBQZX 9(AX), CX":              0x32,
		"MOVWLZX 1(AX), CX":              0x6677,
		"MOVQ $-2, CX":                   ^uint64(1),
		"MOVQ $0x000f, CX":               15,
		"MOVL $-2, CX":                   0xfffffffe,
		"LEAQ -3(BX)(CX*4), CX":          (a + 4*b - 3) & (1<<64 - 1),
		"LEAQ 5(BX), CX":                 a + 5,
		"MOVB (AX), CX":                  b&^0xff | 0x88,
		"MOVB BX, 8(AX)\nMOVQ 8(AX), CX": b&^0xff | 0x88,
		"MOVL BX, 8(AX)\nMOVQ 8(AX), CX": b&^0xffffffff | 0x55667788,
		"MOVQ $7, 8(SP)\nMOVQ 8(SP), CX": 7,
	} {
		data := numbers(a, b, 0)
		runText(t, "MOVQ data+0(FP), AX\nMOVQ (AX), BX\nMOVQ 8(AX), CX\n"+text+"\nMOVQ CX, 16(AX)\nRET", data)
		if got := binary.LittleEndian.Uint64(data[16:]); got != want {
			t.Errorf("%s: %#x, want %#x", text, got, want)
		}
	}
}

// TestMovesOfVectors compares each result with the expected bytes.
func TestMovesOfVectors(t *testing.T) {
	dst, first, second := randomVector(), randomVector(), randomVector()
	pad := func(b ...[]byte) []byte {
		all := slices.Concat(b...)
		return append(all, make([]byte, 64-len(all))...)
	}
	dwords := func(v []byte) (b []byte) {
		for chunk := range slices.Chunk(v, 8) {
			b = append(b, chunk[:4]...)
		}
		return b
	}
	for text, want := range map[string][]byte{
		"VMOVDQU64 Y2, Y3":                               pad(first[:32]),
		"VMOVDQU X2, X3":                                 pad(first[:16]),
		"VMOVDQU32 67(AX), Y3":                           pad(slices.Concat(first, second)[3:35]),
		"VMOVDQA64 Z2, Z3":                               first,
		"VPMOVQD Z2, Y3":                                 pad(dwords(first)),
		"VINSERTI64X4 $1, Y2, Z1, Z3":                    pad(second[:32], first[:32]),
		"VINSERTI64X4 $0, Y2, Z1, Z3":                    pad(first[:32], second[32:]),
		"VINSERTI64X4 $1, 64(AX), Z3, Z3":                pad(dst[:32], first[:32]),
		"VINSERTI32X4 $2, X2, Z1, Z3":                    pad(second[:32], first[:16], second[48:]),
		"VINSERTI128 $1, X2, Y1, Y3":                     pad(second[:16], first[:16]),
		"VINSERTI128 $1, 80(AX), Y1, Y3":                 pad(second[:16], first[16:32]),
		"VEXTRACTI64X4 $1, Z2, Y3":                       pad(first[32:]),
		"VEXTRACTI32X4 $3, Z2, X3":                       pad(first[48:]),
		"VEXTRACTI128 $1, Y2, X3":                        pad(first[16:32]),
		"VEXTRACTI128 $1, Y2, (AX)\nVMOVDQU64 (AX), Z3":  pad(first[16:32], dst[16:]),
		"VEXTRACTI64X4 $1, Z2, (AX)\nVMOVDQU64 (AX), Z3": pad(first[32:], dst[32:]),
		"VPBROADCASTD 65(AX), Z3":                        slices.Repeat(first[1:5], 16),
		"VPBROADCASTQ 65(AX), Y3":                        pad(slices.Repeat(first[1:9], 4)),
		"VPBROADCASTD X2, Z3":                            slices.Repeat(first[:4], 16),
		"VPBROADCASTQ X2, Z3":                            slices.Repeat(first[:8], 8),
		"MOVQ 64(AX), BX\nVPBROADCASTD BX, Z3":           slices.Repeat(first[:4], 16),
		"MOVQ 64(AX), BX\nVPBROADCASTQ BX, Z3":           slices.Repeat(first[:8], 8),
		"VBROADCASTI32X4 64(AX), Z3":                     slices.Repeat(first[:16], 4),
		"VBROADCASTI128 64(AX), Y3":                      pad(slices.Repeat(first[:16], 2)),
		"VBROADCASTI64X4 64(AX), Z3":                     slices.Repeat(first[:32], 2),
		"VMOVQ 64(AX), X3":                               pad(first[:8]),
		"VMOVD 64(AX), X3":                               pad(first[:4]),
		"VMOVQ X2, BX\nVMOVQ BX, X3":                     pad(first[:8]),
		"VMOVQ X2, (AX)\nVMOVDQU64 (AX), Z3":             pad(first[:8], dst[8:]),
		"VPINSRQ $1, 64(AX), X1, X3":                     pad(second[:8], first[:8]),
		"VPEXTRQ $1, X2, BX\nVMOVQ BX, X3":               pad(first[8:16]),
		"VPERMQ $0x4e, Y2, Y3":                           pad(first[16:32], first[:16]),
		"VPERMQ $0x1b, Z2, Z3":                           pad(first[24:32], first[16:24], first[8:16], first[:8], first[56:], first[48:56], first[40:48], first[32:40]),
		"VPALIGNR $5, Y2, Y1, Y3":                        pad(first[5:16], second[:5], first[21:32], second[16:21]),
		"VALIGNQ $3, Z2, Z1, Z3":                         pad(first[24:], second[:24]),
		"VZEROUPPER\nVMOVDQU64 Z2, Z3":                   pad(first[:16]),
		"PREFETCHT0 (AX)\nVMOVDQU64 Z2, Z3":              first,
		"VPADDD Z1, Z2, Z4\nVMOVDQU64 Z2, Z3":            first,
	} {
		if got := runVector(t, text, dst, first, second, 0); !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %x\nwant %x", text, got, want)
		}
	}
}

// TestPermutations checks that indexes select from one table, or from two.
func TestPermutations(t *testing.T) {
	for _, size := range []int{4, 8} {
		letter := map[int]string{4: "D", 8: "Q"}[size]
		for name, fromTwo := range map[string]bool{"VPERM": false, "VPERMI2": true, "VPERMT2": true} {
			dst, first, second := randomVector(), randomVector(), randomVector()
			count := 64 / size
			tables := elements(second, size)
			index := elements(first, size)
			if fromTwo {
				tables = append(elements(dst, size), tables...)
			}
			if name == "VPERMI2" {
				tables, index = append(elements(first, size), elements(second, size)...), elements(dst, size)
			}
			var want []*big.Int
			for i := range count {
				want = append(want, tables[int(lowest(index[i], 8).Int64())%len(tables)])
			}
			got := runVector(t, name+letter+" Z1, Z2, Z3", dst, first, second, 0)
			if !slices.Equal(got, bytesOf(want, size)) {
				t.Errorf("%s%s: got %x, want %x", name, letter, got, bytesOf(want, size))
			}
		}
	}
}

// TestMasks checks that elements not selected by a mask are not accessed in
// memory, and are zeroed or unchanged in a register.
func TestMasks(t *testing.T) {
	for n := range 65 {
		kmask := uint64(1)<<(n%64) - 1
		if n == 64 {
			kmask = ^uint64(0)
		}
		dst, first, second := randomVector(), randomVector(), randomVector()
		got := runVector(t, "VMOVDQU8.Z 64(AX), K1, Z3", dst, first, second, kmask)
		if !slices.Equal(got, append(slices.Clone(first[:n]), make([]byte, 64-n)...)) {
			t.Fatalf("load of %d bytes, others zeroed: %x", n, got)
		}
		got = runVector(t, "VMOVDQU8 64(AX), K1, Z3", dst, first, second, kmask)
		if !slices.Equal(got, slices.Concat(first[:n], dst[n:])) {
			t.Fatalf("load of %d bytes, others unchanged: %x", n, got)
		}
		got = runVector(t, "VMOVDQU8 Z2, K1, (AX)\nVMOVDQU64 (AX), Z3", dst, first, second, kmask)
		if !slices.Equal(got, slices.Concat(first[:n], dst[n:])) {
			t.Fatalf("store of %d bytes: %x", n, got)
		}
		// The selected bytes end where memory ends, at 264(AX).
		text := fmt.Sprintf("VMOVDQU8.Z %d(AX), K1, Z3", 264-n)
		runVector(t, text, dst, first, second, kmask)
	}
}

// TestMasksAsVectors checks that each set bit becomes an element of ones.
func TestMasksAsVectors(t *testing.T) {
	for letter, size := range map[string]int{"B": 1, "D": 4, "Q": 8} {
		kmask := rng.Uint64()
		var want []byte
		for i := range 64 / size {
			want = append(want, slices.Repeat([]byte{0xff * byte(kmask>>i&1)}, size)...)
		}
		if got := runVector(t, "VPMOVM2"+letter+" K1, Z3", want, want, want, kmask); !slices.Equal(got, want) {
			t.Errorf("VPMOVM2%s, mask %x: %x, want %x", letter, kmask, got, want)
		}
	}
}

// TestComparisons checks VPCMPUQ with all immediates that are implemented.
func TestComparisons(t *testing.T) {
	for imm, want := range map[int]func(cmp int) bool{
		0: func(c int) bool { return c == 0 }, 1: func(c int) bool { return c < 0 }, 2: func(c int) bool { return c <= 0 },
		4: func(c int) bool { return c != 0 }, 5: func(c int) bool { return c >= 0 }, 6: func(c int) bool { return c > 0 },
	} {
		for range 50 {
			dst, first, second := randomVector(), randomVector(), randomVector()
			copy(first[8:24], second[8:24])
			a, b := elements(first, 8), elements(second, 8)
			bits := 0
			for i := range a {
				if want(a[i].Cmp(b[i])) {
					bits |= 1 << i
				}
			}
			text := fmt.Sprintf("VPCMPUQ $%d, Z1, Z2, K2\nKMOVQ K2, BX\nVMOVQ BX, X3", imm)
			if got := runVector(t, text, dst, first, second, 0); !slices.Equal(got, append([]byte{byte(bits)}, make([]byte, 63)...)) {
				t.Fatalf("%s: %x, want %x", text, got[:8], bits)
			}
		}
	}
}
