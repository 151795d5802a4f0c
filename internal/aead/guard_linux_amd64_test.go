package aead

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns memory of that size, rounded up to pages, between two pages
// that cannot be accessed.
func guarded(t *testing.T, size int) []byte {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	all, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(all) })
	for _, edge := range [][]byte{all[:page], all[page+size:]} {
		if err := unix.Mprotect(edge, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[page : page+size : page+size]
}

// Kernels do not access memory after texts (without their tags) and keys that
// end where memory ends, or before those that begin where it begins. Each text
// is in a buffer of its own.
func TestProofAtMemoryEdge(t *testing.T) {
	var memories, forKeys [maxLanes][]byte
	for i := range memories {
		memories[i], forKeys[i] = guarded(t, 2048), guarded(t, KeySize)
	}
	for _, k := range kernels {
		if !k.supported() {
			t.Logf("%s: not supported by this processor; in TestProofOfEveryLength the simulated one checks every access", k.name)
			continue
		}
		for length := 1; length <= 1500; length++ {
			if length > 300 && length%64 > 3 {
				continue
			}
			for count := range k.lanes {
				var texts, keys [][]byte
				for i := range count + 1 {
					text, key := memories[i][:length], forKeys[i][:KeySize]
					if (i+length+count)%2 == 0 { // at the end
						text, key = memories[i][len(memories[i])-length:], forKeys[i][len(forKeys[i])-KeySize:]
					}
					texts, keys = append(texts, text), append(keys, key)
				}
				proveInPlace(t, &k, texts, keys)
			}
		}
	}
}

// proveInPlace encrypts and decrypts texts in place, one in each of the first
// lanes, with keys that are also at the edges of memory.
func proveInPlace(t *testing.T, k *kernel, texts, keys [][]byte) {
	t.Helper()
	length := len(texts[0])
	work := &group{length: uint64(length), packets: uint64(len(texts))}
	var plain, sealed [][]byte
	for i := range texts {
		copy(keys[i], random(KeySize))
		plain = append(plain, random(length))
		sealed = append(sealed, xcryptoSeal(keys[i], uint64(5+i), plain[i]))
	}
	for lane := range k.lanes {
		i := lane
		if lane >= len(texts) {
			i = 0
		}
		work.text[lane], work.key[lane], work.counter[lane] = &texts[i][0], (*[KeySize]byte)(keys[i]), uint64(5+i)
	}
	for _, open := range []bool{false, true} {
		for i, text := range texts {
			copy(text, plain[i])
			if open {
				copy(text, sealed[i])
			}
		}
		k.run(work, open)
		for i, text := range texts {
			want := sealed[i][:length]
			if open {
				want = plain[i]
			}
			tag := binary.LittleEndian.AppendUint64(nil, work.tag[0][i])
			tag = binary.LittleEndian.AppendUint64(tag, work.tag[1][i])
			if !bytes.Equal(text, want) || !slices.Equal(tag, sealed[i][length:]) {
				t.Fatalf("%s, %d texts of %d bytes, lane %d, open %v: wrong result at the edge of memory", k.name, len(texts), length, i, open)
			}
		}
	}
}
