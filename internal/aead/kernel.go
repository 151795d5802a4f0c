package aead

import (
	"bytes"
	"crypto/fips140"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// kernel works on a group of packets at once. It reads and writes the memory
// from base+offset to base+offset+length of each lane and the group, no more.
type kernel struct {
	name string // for people
	// supported says whether the processor and the operating system have what
	// the kernel needs.
	supported func() bool
	lanes     int // packets in a group
	// A group is faster than its packets one after the other from least packets
	// on; if their texts are long, from minLong on.
	minPackets, minLong int
	// dirty is how many bytes of the scratch hold something that came from the key
	// after a run, but for key stream that no byte of a text was or will be joined
	// kern.
	dirty int
	// run encrypts the texts in place, or decrypts them when open, and leaves in
	// work.tag the tags of the ciphertexts.
	run func(work *group, base *byte, open bool)
}

// longText is the length in bytes from which a text is long.
const longText = 1024

// minFor is how many packets with that Len are worth a group, one at least.
func (kern *kernel) minFor(length int32) int {
	if length < longText+MinSize {
		return max(1, kern.minPackets)
	}
	return max(1, min(kern.minPackets, kern.minLong))
}

// chosen is the best kernel here; without a run, there is none and every packet
// is x/crypto's.
var chosen, chosenName = choose(kernels)

// Kernel names what seals and opens the packets of a batch.
func Kernel() string { return chosenName }

// choose takes the first kernel that is supported and right. One that is wrong
// is named, so that somebody asks why it is so slow here.
func choose(kernels []kernel) (best kernel, name string) {
	wrong := ""
	for _, k := range kernels {
		if !k.supported() {
			continue
		}
		// The self-test is of our own code with a key that all may know. Where Go
		// forbids the cipher (key.Permitted), nothing else will use it.
		right := false
		fips140.WithoutEnforcement(func() { right = k.selfTest() })
		if right {
			return k, k.name + wrong
		}
		wrong += "; " + k.name + " failed its self-test"
	}
	return kernel{}, "x/crypto" + wrong
}

// testLengths of texts reach every path of a kernel: short texts, whole blocks,
// ends of every kind, and more than one round of its largest loop.
var testLengths = [...]int{0, 1, 15, 16, 48, 63, 64, 65, 127, 128, 192, 193, 320, 500, 576, 1420}

// right is the self-test: whether the kernel seals to what x/crypto seals to,
// opens that, and refuses it with a bit changed.
func (kern *kernel) selfTest() bool {
	var secret [KeySize]byte
	for i := range secret {
		secret[i] = byte(201*i + 7)
	}
	var k Key
	k.Set(&secret)
	for _, length := range testLengths {
		if !kern.selfTestAt(&k, length) {
			return false
		}
	}
	return true
}

// selfTestAt is right for one length, in a full group.
func (kern *kernel) selfTestAt(k *Key, length int) bool {
	one, _ := chacha20poly1305.New(k.bytes[:])
	var plain, sealed []byte
	var packets []Packet
	for lane := range kern.lanes {
		packets = append(packets, Packet{int32(len(plain)), int32(length + MinSize)})
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
	k.process(kern, buf, packets, false)
	if !bytes.Equal(buf, sealed) {
		return false
	}
	victim := length % kern.lanes
	p := packets[victim]
	buf[p.Off+p.Len-1-int32(length%(length+TagSize))] ^= 0x80
	if k.process(kern, buf, packets, true) != 1 || packets[victim].Len != 0 {
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
