// Package erase zeroes secrets that no variable of ours refers to.
package erase

// depth, in bytes, is more stack than X25519 and the functions it calls use.
const depth = 4096

// Stack zeroes the part of the goroutine's stack that was used by functions
// which the caller has called and which have returned. The standard library's
// X25519 leaves the scalar there. The trace of a panic could print it: for an
// argument that is no longer live, a trace prints whatever lies in its slot.
//
//go:noinline
func Stack() {
	var zeroes [depth]byte
	sink(&zeroes)
}

// sink keeps the compiler from removing the zeroes as unused.
//
//go:noinline
func sink(*[depth]byte) {}
