package aead

import "golang.org/x/sys/cpu"

//go:generate go -C gen run .

// kernels are in the order of preference. The one in 512 bits without IFMA is
// faster than the one in 256 bits, looked at alone. But the processors that lack
// IFMA lower their clock by a fifth as soon as they multiply in 512 bits, for all
// that the core does, and the rest of a packet's way costs more than its cipher.
var kernels = []kernel{
	{name: "AVX-512 IFMA", supported: hasIFMA, lanes: 8, least: 3, leastLong: 3, run: avx512ifma},
	{name: "AVX-512 VL", supported: hasVL, lanes: 8, least: 3, leastLong: 2, dirty: dirty256, run: avx512vl},
	{name: "AVX2", supported: hasAVX2, lanes: 8, least: 4, leastLong: 2, dirty: dirty256, run: avx2},
	{name: "AVX-512", supported: hasAVX512, lanes: 8, least: 4, leastLong: 5, run: avx512},
}

// dirty256 is all of the scratch that the kernels in 256 bits use.
const dirty256 = 3008

func hasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasBMI2 }

func hasVL() bool { return hasAVX2() && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL }

func hasAVX512() bool { return hasVL() && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ }

func hasIFMA() bool { return hasAVX512() && cpu.X86.HasAVX512IFMA }
