package aead

import (
	"bytes"
	"encoding/binary"
	"slices"
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
	parts := []Part{{key, buf, packets}}
	process(k, parts, false)
	if !bytes.Equal(buf, sealed) {
		t.Fatalf("%s seals differently from x/crypto", k.name)
	}
	victim := change % len(packets)
	v := packets[victim]
	at := v.Off + HeaderSize + int32(change>>8)%(v.Len-HeaderSize)
	buf[at] ^= 1 << (change % 8)
	if process(k, parts, true) != 1 || packets[victim].Len != 0 || !zero(buf[v.Off+HeaderSize:v.Off+v.Len]) {
		t.Fatalf("%s opens a changed packet, or does not zero it", k.name)
	}
	packets[victim] = v
	for i, p := range packets {
		if i != victim && !bytes.Equal(buf[p.Off:p.Off+p.Len-TagSize], plain[p.Off:p.Off+p.Len-TagSize]) {
			t.Fatalf("%s: the opened text of packet %d differs from the sealed one", k.name, i)
		}
	}
}

// FuzzParts seals and opens packets of several keys, in a buffer of its own for
// each part, with one of them changed, with every kernel that this processor
// supports, and compares with x/crypto. Each byte of kinds is a part: which of
// eight keys it has, and how many packets of which length.
func FuzzParts(f *testing.F) {
	f.Add([]byte("keys"), []byte{0, 32, 64, 96, 128, 160, 192, 224}, uint64(7), uint16(1420), uint32(12345))
	f.Add([]byte{1}, []byte{0, 33, 66, 99, 1, 35, 200, 201}, ^uint64(2), uint16(64), uint32(0))
	f.Add([]byte{}, []byte{31, 31, 63, 95, 255}, uint64(0xfffffffd), uint16(15), uint32(1<<31))
	f.Add([]byte{2, 3}, bytes.Repeat([]byte{0, 32, 64}, 9), uint64(0), uint16(640), uint32(99))
	f.Fuzz(func(t *testing.T, secret, kinds []byte, first uint64, length uint16, change uint32) {
		b := newBatch(secret, kinds[:min(len(kinds), 40)], first, int(length)%2048)
		if len(b.parts) == 0 {
			return
		}
		for _, k := range kernels {
			if k.supported() {
				b.compare(t, &k, int(change>>1))
				k.minPackets, k.minLong = 1, 1
				b.compare(t, &k, int(change>>1))
			}
		}
	})
}

// A batchOfParts is parts with plain buffers, and the buffers when sealed.
type batchOfParts struct {
	parts  []Part
	sealed [][]byte
}

func newBatch(secret, kinds []byte, first uint64, length int) (b batchOfParts) {
	var keys [8]*Key
	for i := range keys {
		var key [KeySize]byte
		copy(key[1:], secret)
		key[0] = byte(i)
		keys[i] = newKey(key)
	}
	for _, kind := range kinds {
		key, count, size := keys[kind>>5], 1+int(kind>>2&7), length>>(kind&3)
		var plain, sealed []byte
		var packets []Packet
		for i := range count {
			packets = append(packets, Packet{int32(len(plain)), int32(size + MinSize)})
			header := binary.LittleEndian.AppendUint64(make([]byte, 8), first)
			text := fill(size, i, append([]byte{kind}, secret...))
			plain = append(append(append(plain, header...), text...), make([]byte, TagSize)...)
			sealed = append(append(sealed, header...), xcryptoSeal(key.bytes[:], first, text)...)
			first++
		}
		b.parts = append(b.parts, Part{key, plain, packets})
		b.sealed = append(b.sealed, sealed)
	}
	return b
}

func (b *batchOfParts) compare(t *testing.T, k *kernel, change int) {
	parts := slices.Clone(b.parts)
	for i := range parts {
		parts[i].Buf, parts[i].Packets = bytes.Clone(parts[i].Buf), slices.Clone(parts[i].Packets)
	}
	process(k, parts, false)
	for i := range parts {
		if !bytes.Equal(parts[i].Buf, b.sealed[i]) {
			t.Fatalf("%s seals part %d differently from x/crypto", k.name, i)
		}
	}
	victim := &parts[change%len(parts)]
	v := &victim.Packets[change%len(victim.Packets)]
	old := *v
	victim.Buf[v.Off+HeaderSize+int32(change>>8)%(v.Len-HeaderSize)] ^= 1 << (change % 8)
	if process(k, parts, true) != 1 || v.Len != 0 || !zero(victim.Buf[old.Off+HeaderSize:old.Off+old.Len]) {
		t.Fatalf("%s opens a changed packet, or does not zero it", k.name)
	}
	for i, part := range parts {
		for j, p := range part.Packets {
			if p.Len != 0 && !bytes.Equal(p.in(part.Buf)[:p.Len-TagSize], p.in(b.parts[i].Buf)[:p.Len-TagSize]) {
				t.Fatalf("%s: the opened text of packet %d of part %d differs from the sealed one", k.name, j, i)
			}
		}
	}
}
