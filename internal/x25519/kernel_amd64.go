package x25519

import "golang.org/x/sys/cpu"

//go:generate go -C gen run .

// kernels are in order of preference.
var kernels = []kernel{
	{name: "AVX-512 IFMA", supported: hasIFMA, lanes: 8, minMultiplications: 2, widths: []uint{51, 51, 51, 51, 51}, run: avx512ifma},
	{name: "AVX2", supported: hasAVX2, lanes: 4, minMultiplications: 2, widths: []uint{26, 25, 26, 25, 26, 25, 26, 25, 26, 25}, run: avx2},
}

func hasAVX2() bool { return cpu.X86.HasAVX2 }

func hasIFMA() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512IFMA }
