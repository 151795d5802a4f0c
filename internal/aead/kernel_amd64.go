package aead

import "golang.org/x/sys/cpu"

//go:generate go -C gen run .

// kernels are in order of preference.
var kernels = []kernel{
	{name: "AVX-512 IFMA", supported: hasIFMA, lanes: 8, minPackets: 3, minLong: 3, run: avx512ifma},
	{name: "AVX-512", supported: hasAVX512, lanes: 8, minPackets: 4, minLong: 4, run: avx512},
	{name: "AVX2", supported: hasAVX2, lanes: 8, minPackets: 4, minLong: 2, dirty: dirty256, run: avx2},
}

// dirty256 is the size of the scratch in which the AVX2 kernel leaves secrets:
// 1,856 bytes, which may begin 63 bytes after the scratch.
const dirty256 = 1919

func hasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasBMI2 }

func hasAVX512() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ
}

func hasIFMA() bool { return hasAVX512() && cpu.X86.HasAVX512IFMA }
