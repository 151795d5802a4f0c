//go:build !race

package pages

import (
	"os"
	"testing"
	"unsafe"
)

// Every owner has pages of its own. (Under the race detector they are on Go's heap.)
func TestFor(t *testing.T) {
	type owner struct{ buf []byte }
	var owners []*owner
	for i, n := range []int{1, 4096, 150_000, 2 << 20, chunkSize, chunkSize + 1, 150_000} {
		o := &owner{}
		o.buf = For(o, n)
		if len(o.buf) != n || cap(o.buf) != n {
			t.Fatalf("For(%d): length %d, capacity %d", n, len(o.buf), cap(o.buf))
		}
		if at := address(o.buf); n <= chunkSize && at%uintptr(os.Getpagesize()) != 0 && reserve(hugePage, true) != nil {
			t.Errorf("For(%d): begins at %#x, in the middle of a page", n, at)
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
				t.Fatalf("byte %d of owner %d was overwritten through another buffer", j, i)
			}
		}
	}
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
