package aead

import "golang.org/x/sys/cpu"

//go:generate go -C gen run .

// kernels are in the order of preference. Processors with AVX-512 but without
// IFMA have the choice of two. As soon as they multiply in 512 bits they lower
// their clock by a fifth, for all that the core does; but in 256 bits there are
// more than twice the instructions, and a core that works for two threads has
// none to spare. Measured end to end under load, the latter is worse.
var kernels = []kernel{
	{name: "AVX-512 IFMA", supported: hasIFMA, lanes: 8, least: 3, leastLong: 3, run: avx512ifma},
	{name: "AVX-512", supported: hasAVX512, lanes: 8, least: 4, leastLong: 4, run: avx512},
	{name: "AVX-512 VL", supported: hasVL, lanes: 8, least: 3, leastLong: 2, dirty: dirty256, run: avx512vl},
	{name: "AVX2", supported: hasAVX2, lanes: 8, least: 4, leastLong: 2, dirty: dirty256, run: avx2},
}

// dirty256 is all of the scratch that the kernels in 256 bits use.
const dirty256 = 3008

func hasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasBMI2 }

func hasVL() bool { return hasAVX2() && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL }

func hasAVX512() bool { return hasVL() && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ }

func hasIFMA() bool { return hasAVX512() && cpu.X86.HasAVX512IFMA }
