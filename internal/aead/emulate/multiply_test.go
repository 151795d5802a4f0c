package emulate

import (
	"encoding/binary"
	"math/big"
	"testing"
)

// TestMultiply checks that MULX returns both halves of a product, the lower one
// first, and IMUL the lower.
func TestMultiply(t *testing.T) {
	for _, a := range interesting {
		for _, b := range interesting {
			data := numbers(a, b, 0, 0, 0)
			runText(t, `
				MOVQ data+0(FP), AX
				MOVQ (AX), DX
				MULXQ 8(AX), BX, CX
				MOVQ BX, 16(AX)
				MOVQ CX, 24(AX)
				IMULQ 8(AX), DX
				MOVQ DX, 32(AX)
				RET`, data)
			product := mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
			lower, upper := lowest(product, 64).Uint64(), right(product, 64).Uint64()
			for i, want := range []uint64{lower, upper, lower} {
				if got := binary.LittleEndian.Uint64(data[16+8*i:]); got != want {
					t.Fatalf("%#x times %#x, result %d: %#x, want %#x", a, b, i, got, want)
				}
			}
		}
	}
}

// TestMultiplyFlags checks that MULX does not change the flags and IMUL leaves
// them undefined.
func TestMultiplyFlags(t *testing.T) {
	if !jumps(t, "CMPQ BX, CX\nMULXQ AX, BX, CX", "JEQ", 7, 7) {
		t.Error("MULXQ changes the flags")
	}
	if tryText("MOVQ $3, AX\nTESTQ AX, AX\nIMULQ AX, AX\nJEQ done\ndone:\nRET", make([]byte, 64), nil) == nil {
		t.Error("a jump can use the flags after IMULQ")
	}
}

// TestSumOfSecrets checks that LEA may compute with a secret and that the
// result is secret, too.
func TestSumOfSecrets(t *testing.T) {
	sum := "MOVQ data+0(FP), AX\nMOVQ (AX), BX\nXORL CX, CX\nLEAQ 5(CX)(BX*4), CX\n"
	secret := []bool{true, true, true, true, true, true, true, true}
	data := numbers(9, 0)
	if err := tryText(sum+"MOVQ CX, 8(AX)\nRET", data, append(secret, secret...)); err != nil || binary.LittleEndian.Uint64(data[8:]) != 41 {
		t.Errorf("LEAQ: %x, %v; want 41", data[8:], err)
	}
	if tryText(sum+"MOVQ (AX)(CX*1), DX\nRET", data, append(secret, secret...)) == nil {
		t.Error("a secret computed by LEAQ can be used in an address")
	}
}
