package erase

import (
	"bytes"
	"runtime/debug"
	"testing"
	"unsafe"
)

// leaveSecret returns the address of a secret that it leaves on the stack.
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

// readStack returns the bytes at that address. It must not make the stack grow,
// which would move the stack.
//
//go:noinline
func readStack(at uintptr) (b [64]byte) { return **(**[64]byte)(unsafe.Pointer(&at)) }

// A35: what a function left on the stack stays there until Stack is called.
func TestStack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // because it may move stacks
	Stack()                                          // grows the stack to the size needed
	at := leaveSecret(0xd3)
	if b := readStack(at); !bytes.Contains(b[:], []byte{0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3, 0xd3}) {
		t.Fatalf("leaveSecret left nothing on the stack, so this test shows nothing: %x", b)
	}
	at = leaveSecret(0xd3)
	Stack()
	if b := readStack(at); bytes.Contains(b[:], []byte{0xd3, 0xd3}) {
		t.Errorf("the secret is still on the stack: %x", b)
	}
}
