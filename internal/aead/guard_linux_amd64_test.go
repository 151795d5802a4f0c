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

// Kernels do not access memory after texts (without their tags) that end where
// memory ends, or before texts that begin where it begins.
func TestProofAtMemoryEdge(t *testing.T) {
	memory := guarded(t, 2048)
	for _, k := range kernels {
		if !k.supported() {
			t.Logf("%s: not supported by this processor; in TestProofOfEveryLength the simulated one checks every access", k.name)
			continue
		}
		for length := 1; length <= 1500; length++ {
			if length > 300 && length%64 > 3 {
				continue
			}
			for _, at := range []int{0, len(memory) - length} {
				text := memory[at : at+length]
				proveInPlace(t, &k, text)
			}
		}
	}
}

// proveInPlace encrypts and decrypts text in place, with all lanes on this
// text.
func proveInPlace(t *testing.T, k *kernel, text []byte) {
	t.Helper()
	secret, plain := random(KeySize), random(len(text))
	work := new(group)
	work.setKey((*[KeySize]byte)(secret))
	work.length = uint64(len(text))
	for lane := range work.counter {
		work.counter[lane] = 5
	}
	sealed := xcryptoSeal(secret, 5, plain)
	for _, open := range []bool{false, true} {
		want := sealed[:len(text)]
		copy(text, plain)
		if open {
			copy(text, want)
			want = plain
		}
		k.run(work, &text[0], open)
		tag := binary.LittleEndian.AppendUint64(nil, work.tag[0][0])
		tag = binary.LittleEndian.AppendUint64(tag, work.tag[1][0])
		if !bytes.Equal(text, want) || !slices.Equal(tag, sealed[len(text):]) {
			t.Fatalf("%s, %d bytes, open %v: wrong result at the edge of memory", k.name, len(text), open)
		}
	}
}
