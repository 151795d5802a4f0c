//go:build !race

package pages

import (
	"os"
	"testing"
	"unsafe"
)

// Whoever asks gets pages of his own. (Under the race detector all are Go's.)
func TestFor(t *testing.T) {
	type owner struct{ buf []byte }
	var owners []*owner
	for i, n := range []int{1, 4096, 150_000, 2 << 20, chunkSize, chunkSize + 1, 150_000} {
		o := &owner{}
		o.buf = For(o, n)
		if len(o.buf) != n || cap(o.buf) != n {
			t.Fatalf("%d bytes asked for: %d, with chunkSize for %d", n, len(o.buf), cap(o.buf))
		}
		if at := address(o.buf); n <= chunkSize && at%uintptr(os.Getpagesize()) != 0 && reserve(hugePage) != nil {
			t.Errorf("%d bytes begin at %#x, in the middle of a page", n, at)
		}
		for j := range o.buf {
			if o.buf[j] != 0 {
				t.Fatalf("owner %d: byte %d of %d is not zero", i, j, n)
			}
			o.buf[j] = byte(i + 1)
		}
		owners = append(owners, o)
	}
	for i, o := range owners {
		for j := range o.buf {
			if o.buf[j] != byte(i+1) {
				t.Fatalf("somebody else has written to byte %d of owner %d", j, i)
			}
		}
	}
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
