package aead

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzKernels seals and opens a batch, and opens it with one bit changed, with
// every kernel that this processor supports, and compares with x/crypto.
func FuzzKernels(f *testing.F) {
	f.Add([]byte("a key"), []byte("a text"), uint64(0), uint16(1420), uint8(8), uint8(0), uint32(12345))
	f.Add([]byte{}, []byte{0xff}, uint64(0xfffffffd), uint16(64), uint8(9), uint8(63), uint32(0))
	f.Add([]byte{1}, []byte{}, ^uint64(2), uint16(0), uint8(17), uint8(5), uint32(1<<31))
	f.Add(bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0}, 99), uint64(7), uint16(577), uint8(2), uint8(31), uint32(99))
	f.Fuzz(func(t *testing.T, secret, text []byte, first uint64, length uint16, count, offset uint8, change uint32) {
		var key [KeySize]byte
		copy(key[:], secret)
		size := int(length) % 4096
		plain, sealed := make([]byte, offset), make([]byte, offset)
		var packets []Packet
		for i := range 1 + int(count)%24 {
			packets = append(packets, Packet{int32(len(plain)), int32(size + MinSize)})
			body := fill(size, i, text)
			header := binary.LittleEndian.AppendUint64(make([]byte, 8), first+uint64(i))
			plain = append(append(append(plain, header...), body...), make([]byte, TagSize)...)
			sealed = append(append(sealed, header...), xcryptoSeal(key[:], first+uint64(i), body)...)
		}
		for _, k := range kernels {
			if k.supported() {
				k.minPackets, k.minLong = 1, 1
				compareBatch(t, &k, newKey(key), plain, sealed, packets, int(change>>1))
			}
		}
	})
}

// fill returns a text of that size: the given text, from byte i on, repeated.
func fill(size, i int, text []byte) []byte {
	body := make([]byte, size)
	for j := range body {
		if len(text) > 0 {
			body[j] = text[(i+j)%len(text)]
		}
	}
	return body
}

func compareBatch(t *testing.T, k *kernel, key *Key, plain, sealed []byte, packets []Packet, change int) {
	buf := bytes.Clone(plain)
	key.process(k, buf, packets, false)
	if !bytes.Equal(buf, sealed) {
		t.Fatalf("%s seals differently from x/crypto", k.name)
	}
	victim := change % len(packets)
	v := packets[victim]
	at := v.Off + HeaderSize + int32(change>>8)%(v.Len-HeaderSize)
	buf[at] ^= 1 << (change % 8)
	if key.process(k, buf, packets, true) != 1 || packets[victim].Len != 0 || !zero(buf[v.Off+HeaderSize:v.Off+v.Len]) {
		t.Fatalf("%s opens a changed packet, or does not zero it", k.name)
	}
	packets[victim] = v
	for i, p := range packets {
		if i != victim && !bytes.Equal(buf[p.Off:p.Off+p.Len-TagSize], plain[p.Off:p.Off+p.Len-TagSize]) {
			t.Fatalf("%s: the opened text of packet %d differs from the sealed one", k.name, i)
		}
	}
}
