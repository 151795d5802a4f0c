package pages

import (
	"os"
	"testing"
	"unsafe"
)

// Whoever asks gets pages of his own.
func TestFor(t *testing.T) {
	type owner struct{ buf []byte }
	var owners []*owner
	for i, n := range []int{1, 4096, 150_000, 2 << 20, room, room + 1, 150_000} {
		o := &owner{}
		o.buf = For(o, n)
		if len(o.buf) != n || cap(o.buf) != n {
			t.Fatalf("%d bytes asked for: %d, with room for %d", n, len(o.buf), cap(o.buf))
		}
		if at := address(o.buf); n <= room && at%uintptr(os.Getpagesize()) != 0 && reserve(hugePage) != nil {
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

// What nobody can reach any longer is used again, as zeros, and no more is asked
// of the kernel.
func TestUsedAgain(t *testing.T) {
	var p pool
	b := p.take(100_000)
	if b == nil {
		if reserve(hugePage) != nil {
			t.Fatal("no memory")
		}
		return // with the race detector, or elsewhere than on Linux, there is the heap only
	}
	for i := range b {
		b[i] = 1
	}
	p.put(b)
	rest := len(p.rest)
	again := p.take(100_000)
	if address(again) != address(b) || len(p.rest) != rest {
		t.Errorf("it was at %#x, and now is at %#x; %d bytes fewer left", address(b), address(again), rest-len(p.rest))
	}
	for i := range again {
		if again[i] != 0 {
			t.Fatalf("byte %d is %d", i, again[i])
		}
	}
	if next := p.take(100_000); address(next) == address(again) {
		t.Error("two have the same")
	}
}
