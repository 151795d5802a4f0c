package aead

import (
	"bytes"
	"crypto/fips140"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// A kernel processes a group of packets at once. It reads and writes only the
// group and the texts, and reads the keys.
type kernel struct {
	name string // for users
	// supported reports whether the processor and the operating system support
	// the instructions of the kernel.
	supported func() bool
	lanes     int // packets in a group
	// A group is faster than single packets if it has at least minPackets
	// packets, or minLong packets with long texts.
	minPackets, minLong int
	// dirty is the length of the part of the scratch that may contain keys and
	// data derived from them after a run. Key stream that is never combined
	// with a text does not count.
	dirty int
	// run encrypts the texts in place, or decrypts them if open is true, and
	// stores the tags of the ciphertexts in work.tag.
	run func(work *group, open bool)
}

// longText is the length in bytes from which a text counts as long.
const longText = 1024

// minFor returns how many packets with the given Len are worth a group.
func (kern *kernel) minFor(length int32) int {
	if length < longText+MinSize {
		return max(1, kern.minPackets)
	}
	return max(1, min(kern.minPackets, kern.minLong))
}

// mayGroup reports whether that many packets may be worth a group.
func (kern *kernel) mayGroup(packets int) bool {
	return kern.run != nil && packets >= kern.minFor(longText+MinSize)
}

// chosen is the best kernel for this processor. If its run is nil, there is
// none, and x/crypto processes every packet.
var chosen, chosenName = choose(kernels)

// Kernel returns the name of the kernel in use, or "x/crypto" if there is none.
// The name also lists kernels that failed their self-test.
func Kernel() string { return chosenName }

// choose returns the first kernel that is supported and passes its self-test.
// The name includes those that failed, because they explain low speed.
func choose(kernels []kernel) (best kernel, name string) {
	wrong := ""
	for _, k := range kernels {
		if !k.supported() {
			continue
		}
		// The self-test uses a public key. Where Go forbids the cipher
		// (key.Permitted), nothing else uses it.
		passed := false
		fips140.WithoutEnforcement(func() { passed = k.selfTest() })
		if passed {
			return k, k.name + wrong
		}
		wrong += "; " + k.name + " failed its self-test"
	}
	return kernel{}, "x/crypto" + wrong
}

// testLengths are lengths of texts in full groups: short texts, whole blocks,
// incomplete ones, and several iterations of a kernel's largest loop.
var testLengths = [...]int{0, 1, 15, 16, 48, 63, 64, 65, 127, 128, 192, 193, 320, 500, 576, 1420}

// groupLengths are lengths of texts in groups of every size. The AVX2 kernel
// assigns packets to lanes by their number, and in another way if their texts
// are long. The longer length is several iterations even of one packet.
var groupLengths = [...]int{600, 1500}

// selfTest executes every instruction of the kernel. It reports whether the
// kernel seals as x/crypto does, opens the result, and refuses it after a bit was
// changed.
func (kern *kernel) selfTest() bool {
	keys := make([]Key, kern.lanes)
	for lane := range keys {
		var secret [KeySize]byte
		for i := range secret {
			secret[i] = byte(201*i + 7 + 31*lane)
		}
		keys[lane].Set(&secret)
	}
	for _, length := range testLengths {
		if !kern.selfTestAt(keys, length) {
			return false
		}
	}
	anySize := *kern
	anySize.minPackets, anySize.minLong = 1, 1
	for packets := 1; packets <= kern.lanes; packets++ {
		for _, length := range groupLengths {
			if !anySize.selfTestAt(keys[:packets], length) {
				return false
			}
		}
	}
	return true
}

// selfTestAt is selfTest for a group of texts of one length, one for each key.
func (kern *kernel) selfTestAt(keys []Key, length int) bool {
	size := len(keys) * (length + MinSize)
	plain, sealed := make([]byte, 0, size), make([]byte, 0, size)
	packets := make([]Packet, len(keys))
	for lane := range packets {
		one, _ := chacha20poly1305.New(keys[lane].bytes[:])
		packets[lane] = Packet{int32(len(plain)), int32(length + MinSize)}
		header := make([]byte, HeaderSize)
		binary.LittleEndian.PutUint64(header[counterAt:], uint64(lane)*0x1_0000_0001+0xffff_fffd)
		text := make([]byte, length)
		for i := range text {
			text[i] = byte(lane ^ i*i>>3)
		}
		plain = append(append(append(plain, header...), text...), make([]byte, TagSize)...)
		sealed = one.Seal(append(sealed, header...), header[nonceAt:], text, nil)
	}
	buf := bytes.Clone(plain)
	parts := make([]Part, len(keys))
	for lane := range parts {
		parts[lane] = Part{&keys[lane], buf, packets[lane : lane+1]}
	}
	process(kern, parts, false)
	if !bytes.Equal(buf, sealed) {
		return false
	}
	victim := length % len(keys)
	p := packets[victim]
	buf[p.Off+p.Len-1-int32(7*length%(length+TagSize))] ^= 0x80 // in some texts, and in some tags
	if process(kern, parts, true) != 1 || packets[victim].Len != 0 {
		return false
	}
	clear(plain[p.Off+HeaderSize : p.Off+p.Len])
	for _, p := range packets {
		if p.Len != 0 && !bytes.Equal(p.in(buf)[:p.Len-TagSize], p.in(plain)[:p.Len-TagSize]) {
			return false
		}
	}
	return true
}
