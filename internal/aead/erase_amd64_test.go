package aead

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/crypto/chacha20"
)

// A35: after a run and erase, the group contains nothing of the keys, the
// one-time keys, the texts and the key stream, in any form that kernels use, and
// does not refer to the keys and texts.
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
	b := newFixture(s.lanes, 0, 5, slices.Repeat([]int{length}, s.lanes))
	parts := b.over(bytes.Clone(b.plain))
	if open {
		parts = b.over(bytes.Clone(b.sealed))
	}
	work := new(group)
	work.process(&s.kernel, bucketOf(parts), parts, open)
	if length == 64 && s.dirty > 0 && !holds(work, secretsOf(t, b)) {
		t.Error("the group contains no secrets before erase: this test looks for the wrong ones")
	}
	work.erase(&s.kernel)
	if holds(work, secretsOf(t, b)) {
		t.Errorf("texts of %d bytes: a part of their keys is left in the group", length)
	}
	if at := textAt(work, b.plain, b.packets); at >= 0 {
		t.Errorf("texts of %d bytes: a part of a text is left at %d of the scratch", length, at)
	}
	if work.tag != [2][maxLanes]uint64{} {
		t.Errorf("texts of %d bytes: the group contains tags", length)
	}
	if work.text != [maxLanes]*byte{} || work.key != [maxLanes]*[KeySize]byte{} {
		t.Errorf("texts of %d bytes: the group refers to texts or keys", length)
	}
	if at := keyStreamAt(t, work, b, length); at >= 0 {
		t.Errorf("texts of %d bytes: a part of their key stream is left at %d of the scratch", length, at)
	}
}

// bucketOf returns a bucket with all packets of the parts.
func bucketOf(parts []Part) *bucket {
	t := &bucket{len: parts[0].Packets[0].Len}
	for i, part := range parts {
		for j := range part.Packets {
			t.add(i, j, &part, &part.Packets[j])
		}
	}
	return t
}

// A35: what a kernel leaves in the scratch for the same ciphertexts is the same
// for all keys, except for key stream. (TestProofOfErasing proves that this
// key stream was not combined with a text.)
func TestProofOfNoKeyResidue(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range []int{0, 64, 100, 128, 129, 192, 320, 1100} {
			b := newFixture(s.lanes, 0, 5, slices.Repeat([]int{length}, s.lanes))
			work, memory := new(group), make([]byte, len(b.sealed)) // addresses must not differ
			var left [2][]byte
			var stream map[uint64]bool
			for i := range left {
				for lane := range b.keys {
					b.keys[lane] = newKey([KeySize]byte(random(KeySize)))
				}
				*work = group{}
				copy(memory, b.sealed)
				parts := b.over(memory)
				work.process(&s.kernel, bucketOf(parts), parts, true)
				work.erase(&s.kernel)
				left[i] = bytes.Clone(work.scratch[:])
				stream = keyStreamOf(t, b.keys, length+256)
			}
			for at := range len(left[1]) - 7 {
				a, b := left[0][at:at+8], left[1][at:at+8]
				if uintptr(unsafe.Pointer(&work.scratch[at]))%8 == 0 && !bytes.Equal(a, b) && !stream[binary.LittleEndian.Uint64(b)] {
					t.Fatalf("texts of %d bytes: the scratch at %d depends on the keys", length, at)
				}
			}
		}
	})
}

// keyStreamOf returns the key streams of packets with these keys, as words of
// eight bytes.
func keyStreamOf(t *testing.T, keys []*Key, length int) map[uint64]bool {
	all := map[uint64]bool{}
	for i, key := range keys {
		cipher, err := chacha20.NewUnauthenticatedCipher(key.bytes[:], binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(5+i)))
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
		cipher, err := chacha20.NewUnauthenticatedCipher(b.keys[i].bytes[:], nonce)
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
	for _, key := range b.keys {
		for i := 0; i < KeySize; i += 4 {
			word := uint64(binary.LittleEndian.Uint32(key.bytes[i:]))
			for _, other := range b.keys { // in adjacent lanes
				secrets[word|uint64(binary.LittleEndian.Uint32(other.bytes[i:]))<<32] = true
			}
			if i%8 == 0 {
				secrets[binary.LittleEndian.Uint64(key.bytes[i:])] = true
			}
		}
	}
	for i := range b.packets {
		nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(5+i))
		cipher, err := chacha20.NewUnauthenticatedCipher(b.keys[i].bytes[:], nonce)
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
	for at := 0; at+8 <= len(work.scratch); at += 8 {
		if secrets[binary.LittleEndian.Uint64(work.scratch[at:])] {
			return true
		}
	}
	return false
}
