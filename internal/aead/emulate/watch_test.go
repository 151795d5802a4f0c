package emulate

import (
	"slices"
	"strings"
	"testing"
)

// TestWatches checks that a forbidden operation ends a program with an error
// that names it.
func TestWatches(t *testing.T) {
	for _, c := range []struct{ text, fault string }{
		{"MOVQ data+0(FP), AX\nMOVQ (AX), BX\nRET", ""},
		{"MOVQ data+0(FP), AX\nMOVQ 57(AX), BX\nRET", "in no region"},
		{"MOVQ data+0(FP), AX\nMOVB -1(AX), BX\nRET", "1 before data"},
		{"MOVQ data+0(FP), AX\nVMOVDQU64 1(AX), Z0\nRET", "begin in data at offset 1 of 64"},
		{"MOVQ data+8(FP), AX\nRET", "after the end of arguments"},
		{"MOVQ 16(SP), AX\nRET", "after the end of frame"},
		{"MOVQ data+0(FP), AX\nMOVQ $1, 16(AX)\nMOVQ (AX), BX\nMOVQ (AX)(BX*1), CX\nRET", "an address depends on a secret"},
		{"MOVQ (AX), BX\nRET", "an uninitialized register (AX)"},
		{"MOVQ data+0(FP), AX\nMOVQ (AX), BX\nTESTQ BX, BX\nJZ done\ndone:\nRET", "a jump depends on a secret"},
		{"MOVQ data+0(FP), AX\nMOVQ (AX), BX\nADDQ $1, BX\nDECQ AX\nJB done\ndone:\nRET", "a jump depends on a secret"},
		{"MOVQ data+0(FP), AX\nVMOVDQU64 (AX), Y0\nVMOVDQU64 Y0, (AX)\nMOVQ 8(AX), BX\nCMPQ BX, $1\nJZ done\ndone:\nRET", "a jump depends on a secret"},
		{"MOVQ data+0(FP), AX\nKMOVQ (AX), K1\nVMOVDQU8 Z0, K1, (AX)\nRET", "the mask of a memory access depends on a secret"},
		{"MOVQ data+0(FP), AX\nKMOVQ (AX), K1\nVPADDQ Z0, Z1, K1, Z2\nVZEROUPPER\nRET", ""},
		{"MOVQ data+0(FP), AX\nMOVQ (AX), BX\nXORL BX, BX\nMOVQ (AX)(BX*8), CX\nRET", ""},
		{"MOVQ data+0(FP), AX\nMOVQ (AX), BX\nMOVQ BX, data+0(FP)\nRET", "writes a secret to arguments"},
		{"MOVQ data+0(FP), AX\nMOVQ $3, CX\nSHLQ CL, AX\nJZ done\ndone:\nRET", "a flag that this instruction uses is undefined"},
		{"JZ done\ndone:\nRET", "a flag that this instruction uses is undefined"},
		{"MOVQ data+0(FP), BP\nRET", "another stack or frame pointer"},
		{"MOVQ data+0(FP), AX\nVMOVDQU64 (AX), Z7\nRET", "upper part of Z7"},
		{"MOVQ data+0(FP), AX\nVMOVDQU64 (AX), Z17\nRET", ""},
		{"MOVQ data+0(FP), AX\nADDQ $16, AX\nANDQ $-64, AX\nVMOVDQA64 16(AX), X1\nVMOVDQA64 8(AX), X1\nRET", "not aligned to 16"},
		{"loop:\nJMP loop", "does not end"},
		{"MOVQ data+0(FP), AX", "runs past its end"},
		{"JMP nowhere", "no such label"},
		{"VPFROB X1, X2, X3\nRET", "is not known"},
		{"VPADDD X1, X2\nRET", "is not known with these operands"},
		{"VPADDD.SAE Z1, Z2, Z3\nRET", "the suffix .SAE"},
		{"VPADDD.Z Z1, Z2, Z3\nRET", "is not known"},
		{"VPADDD Z1, Z2, K0, Z3\nRET", "is not known"},
		{"MOVQ elsewhere<>+0(SB), AX\nRET", "elsewhere<>(SB) is not known"},
		{"MOVQ 0(AX), Z32\nRET", "no such register"},
	} {
		data := make([]byte, 64+64)
		at := 0
		for ; uintptrOf(data[at:])%64 != 48; at++ {
		}
		secret := make([]bool, 64)
		for i := range secret {
			data[at+i], secret[i] = byte(i), true
		}
		err := tryText(c.text, data[at:at+64:at+64], secret)
		switch {
		case c.fault == "" && err != nil:
			t.Errorf("%s\n\t%v", c.text, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s\n\terror %v, want %q", c.text, err, c.fault)
		}
	}
}

// TestConstants checks that data is found by its symbol and is read-only.
func TestConstants(t *testing.T) {
	const data = `
		DATA some<>+0(SB)/8, $0x1122334455667788
		DATA some<>+8(SB)/4, $0x99
		GLOBL some<>(SB), RODATA|NOPTR, $16
		TEXT ·f(SB), NOSPLIT, $0-8
		MOVQ some<>+4(SB), AX
		MOVQ AX, out+0(FP)
		RET
		TEXT ·g(SB), NOSPLIT, $0-0
		MOVQ $1, some<>+0(SB)
		RET`
	f, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	args := make([]byte, 8)
	if _, err := f.Program("f").Run(args, nil, 1); err != nil || number(args) != 0x9911223344 {
		t.Errorf("f returned %x, %v; want 9911223344", args, err)
	}
	if _, err := f.Program("g").Run(nil, nil, 1); err == nil || !strings.Contains(err.Error(), "writes to some") {
		t.Errorf("g wrote to a constant: error %v", err)
	}
	if _, err := f.Program("f").Run(nil, nil, 1); err == nil {
		t.Error("f ran without its arguments")
	}
	if f.Program("h") != nil {
		t.Error("the file has a program h")
	}
}

// TestTrace checks that the trace depends on the path and on the addresses, and
// not on the values.
func TestTrace(t *testing.T) {
	f, err := Parse("TEXT ·f(SB), NOSPLIT, $16-16\nMOVQ n+0(FP), AX\nMOVQ x+8(FP), BX\nADDQ AX, BX\nCMPQ AX, $8\nJEQ done\nMOVQ (SP)(AX*1), CX\ndone:\nRET")
	if err != nil {
		t.Fatal(err)
	}
	trace := func(n, x byte) uint64 {
		args := append(append([]byte{n}, make([]byte, 7)...), append([]byte{x}, make([]byte, 7)...)...)
		result, err := f.Program("f").Run(args, nil, uint64(x)+1)
		if err != nil {
			t.Fatal(err)
		}
		return result.Trace
	}
	if trace(1, 2) != trace(1, 3) {
		t.Error("the trace depends on a value")
	}
	if trace(1, 2) == trace(2, 2) || trace(1, 2) == trace(8, 2) {
		t.Error("the trace does not depend on the address or on the path")
	}
}

// TestSecretRegisters checks that a result names the vector registers that hold
// something secret, or something from before the run.
func TestSecretRegisters(t *testing.T) {
	f, err := Parse("TEXT ·f(SB), NOSPLIT, $0-8\nMOVQ data+0(FP), AX\nVMOVDQU (AX), Y1\nVMOVDQU 32(AX), Y2\n" +
		"VPADDQ Y1, Y2, Y3\nVMOVDQU (AX), Y4\nVPXOR Y4, Y4, Y4\nVZEROUPPER\nRET")
	if err != nil {
		t.Fatal(err)
	}
	data, secret := make([]byte, 64), make([]bool, 64)
	secret[31] = true
	args := make([]byte, 8)
	putNumber(args, uintptrOf(data))
	result, err := f.Program("f").Run(args, []Region{{Name: "data", Base: uintptrOf(data), Data: data, Secret: secret}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := result.Secret[:6], []bool{true, true, false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("registers 0 to 5 hold secrets: %v, want %v", got, want)
	}
}
