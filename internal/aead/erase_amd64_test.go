package aead

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/crypto/chacha20"
)

// A35: after a run and erase, the group contains nothing of the key, the
// one-time keys, the texts and the key stream, in any form that kernels use.
func TestProofOfErasing(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range []int{0, 64, 100, 192, 193, 600, 1100} {
			proveErasing(t, s, length, false)
			proveErasing(t, s, length, true)
		}
	})
}

func proveErasing(t *testing.T, s subject, length int, open bool) {
	t.Helper()
	b := newFixture(0, 5, slices.Repeat([]int{length}, s.lanes))
	text, buf := bytes.Clone(b.plain), b.plain
	if open {
		buf = b.sealed
	}
	in := &bucket{len: int32(length + MinSize)}
	for i := range b.packets {
		in.add(i, &b.packets[i], b.packets[i].in(buf))
	}
	work := new(group)
	work.setKey(&b.key.bytes)
	work.process(&s.kernel, buf, b.packets, in, open)
	if length == 64 && s.dirty > 0 && !holds(work, secretsOf(t, b)) {
		t.Error("the group contains no secrets before erase: this test looks for the wrong ones")
	}
	work.erase(&s.kernel)
	if holds(work, secretsOf(t, b)) {
		t.Errorf("texts of %d bytes: a part of their keys is left in the group", length)
	}
	if at := textAt(work, text, b.packets); at >= 0 {
		t.Errorf("texts of %d bytes: a part of a text is left at %d of the scratch", length, at)
	}
	if at := keyStreamAt(t, work, b, length); at >= 0 {
		t.Errorf("texts of %d bytes: a part of their key stream is left at %d of the scratch", length, at)
	}
}

// A35: what a kernel leaves in the scratch for the same ciphertexts is the same
// for every key, except for key stream. (TestProofOfErasing proves that this
// key stream was not combined with a text.)
func TestProofOfNoKeyResidue(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range []int{0, 64, 100, 128, 129, 192, 320, 1100} {
			b := newFixture(0, 5, slices.Repeat([]int{length}, s.lanes))
			work := new(group)
			var left [2][]byte
			var stream map[uint64]bool
			for i := range left {
				secret := random(KeySize)
				*work = group{}
				work.setKey((*[KeySize]byte)(secret))
				in := &bucket{len: int32(length + MinSize)}
				buf, packets := bytes.Clone(b.sealed), slices.Clone(b.packets)
				for i := range packets {
					in.add(i, &packets[i], packets[i].in(buf))
				}
				work.process(&s.kernel, buf, packets, in, true)
				work.erase(&s.kernel)
				left[i] = bytes.Clone(work.scratch[:])
				stream = keyStreamOf(t, secret, s.lanes, length+256)
			}
			for at := range len(left[1]) - 7 {
				a, b := left[0][at:at+8], left[1][at:at+8]
				if uintptr(unsafe.Pointer(&work.scratch[at]))%8 == 0 && !bytes.Equal(a, b) && !stream[binary.LittleEndian.Uint64(b)] {
					t.Fatalf("texts of %d bytes: the scratch at %d depends on the key", length, at)
				}
			}
		}
	})
}

// keyStreamOf returns the key streams of that many packets, as words of eight
// bytes.
func keyStreamOf(t *testing.T, secret []byte, packets, length int) map[uint64]bool {
	all := map[uint64]bool{}
	for i := range packets {
		cipher, err := chacha20.NewUnauthenticatedCipher(secret, binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(5+i)))
		if err != nil {
			t.Fatal(err)
		}
		stream := make([]byte, (length+7)/8*8)
		cipher.XORKeyStream(stream, stream)
		for ; len(stream) > 0; stream = stream[8:] {
			all[binary.LittleEndian.Uint64(stream)] = true
		}
	}
	return all
}

// textAt returns the offset in the scratch of eight bytes of a text, or -1.
func textAt(work *group, buf []byte, packets []Packet) int {
	parts := map[uint64]bool{}
	for _, p := range packets {
		text := p.in(buf)[HeaderSize : p.Len-TagSize]
		for ; len(text) >= 8; text = text[8:] {
			parts[binary.LittleEndian.Uint64(text)] = true
		}
	}
	for at := 0; at+8 <= len(work.scratch); at += 4 {
		if parts[binary.LittleEndian.Uint64(work.scratch[at:])] {
			return at
		}
	}
	return -1
}

// keyStreamAt returns the offset in the scratch of key stream that was combined
// with a text, as it is or before the nonce was added to it, or -1. With it and
// the datagrams, that part of the texts can be decrypted. Two adjacent words,
// even of different packets, are no coincidence.
func keyStreamAt(t *testing.T, work *group, b *fixture, length int) int {
	words := map[uint32]bool{}
	for i := range b.packets {
		counter := uint64(5 + i)
		nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), counter)
		cipher, err := chacha20.NewUnauthenticatedCipher(b.key.bytes[:], nonce)
		if err != nil {
			t.Fatal(err)
		}
		cipher.SetCounter(1) // block 0 is the one-time key
		stream := make([]byte, length)
		cipher.XORKeyStream(stream, stream)
		for at := 0; at+4 <= length; at += 4 {
			word := binary.LittleEndian.Uint32(stream[at:])
			words[word] = true
			switch at % 64 {
			case 56:
				words[word-uint32(counter)] = true
			case 60:
				words[word-uint32(counter>>32)] = true
			}
		}
	}
	delete(words, 0)
	for at := 0; at+8 <= len(work.scratch); at += 4 {
		word, next := binary.LittleEndian.Uint32(work.scratch[at:]), binary.LittleEndian.Uint32(work.scratch[at+4:])
		if words[word] && words[next] {
			return at
		}
	}
	return -1
}

// secretsOf returns the 64-bit words that must not be left in the group.
func secretsOf(t *testing.T, b *fixture) map[uint64]bool {
	secrets := map[uint64]bool{}
	for i := 0; i < KeySize; i += 4 {
		word := uint64(binary.LittleEndian.Uint32(b.key.bytes[i:]))
		secrets[word|word<<32] = true // in every lane
		if i%8 == 0 {
			secrets[binary.LittleEndian.Uint64(b.key.bytes[i:])] = true
		}
	}
	for i := range b.packets {
		nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(5+i))
		cipher, err := chacha20.NewUnauthenticatedCipher(b.key.bytes[:], nonce)
		if err != nil {
			t.Fatal(err)
		}
		var once [32]byte
		cipher.XORKeyStream(once[:], once[:])
		for half := 0; half < 32; half += 8 {
			secrets[binary.LittleEndian.Uint64(once[half:])] = true
		}
		r0 := binary.LittleEndian.Uint64(once[:]) & 0x0ffffffc0fffffff
		r1 := binary.LittleEndian.Uint64(once[8:]) & 0x0ffffffc0ffffffc
		for _, r := range []uint64{r0, r1, r1 + r1>>2, r0 & (1<<26 - 1), r0 >> 26 & (1<<26 - 1), r0 & (1<<44 - 1), r1 >> 24, r1 >> 40} {
			secrets[r] = true
		}
	}
	delete(secrets, 0)
	return secrets
}

func holds(work *group, secrets map[uint64]bool) bool {
	for i := range work.key {
		if work.key[i] != 0 && i%2 == 0 && secrets[uint64(work.key[i])|uint64(work.key[i+1])<<32] {
			return true
		}
	}
	for at := 0; at+8 <= len(work.scratch); at += 8 {
		if secrets[binary.LittleEndian.Uint64(work.scratch[at:])] {
			return true
		}
	}
	return false
}
