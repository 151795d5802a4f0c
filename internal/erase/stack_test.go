package erase

import (
	"bytes"
	"runtime/debug"
	"testing"
	"unsafe"
)

// leaveSecret has a secret on the stack when it returns, and says where.
//
//go:noinline
func leaveSecret(n byte) uintptr {
	var secret [64]byte
	for i := range secret {
		secret[i] = n
	}
	return uintptr(unsafe.Pointer(&secret)) + uintptr(sum(&secret)-64*int(n))
}

//go:noinline
func sum(b *[64]byte) (n int) {
	for _, x := range b {
		n += int(x)
	}
	return n
}

// readStack is what lies there now. Nothing here makes the stack grow, which would
// move it.
//
//go:noinline
func readStack(at uintptr) (b [64]byte) { return **(**[64]byte)(unsafe.Pointer(&at)) }

// A35: what a function left on the stack is there until Stack was called.
func TestStack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it may move stacks
	Stack()                                          // the stack is as large as it has to be
	at := leaveSecret(0xd3)
	if b := readStack(at); !bytes.Contains(b[:], []byte{0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3}) {
		t.Fatalf("nothing was left on the stack: this test shows nothing: %x", b)
	}
	at = leaveSecret(0xd3)
	Stack()
	if b := readStack(at); bytes.Contains(b[:], []byte{0xd3, 0xd3}) {
		t.Errorf("still on the stack: %x", b)
	}
}
