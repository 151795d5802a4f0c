// Package erase zeroes secrets where no variable of ours leads to them.
package erase

// depth in bytes is more than X25519 and what it calls take of the stack.
const depth = 4096

// Stack zeroes the part of the goroutine's stack that functions which have
// returned used: those that the caller has called since it was called itself.
// The library's X25519 leaves the scalar there. From there it gets into the
// traces of panics, which print for an argument that is no longer known
// whatever lies in its place.
//
//go:noinline
func Stack() {
	var zeroes [depth]byte
	sink(&zeroes)
}

// sink keeps the compiler from seeing that nobody needs the zeroes.
//
//go:noinline
func sink(*[depth]byte) {}
