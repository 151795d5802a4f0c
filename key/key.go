// Package key has the three kinds of key, each a type of its own so that none
// is taken for another. Printing a secret one, by any verb, gives "(hidden)".
package key

// Size is the length of every key in bytes.
const Size = 32

// Private is a Curve25519 private key, clamped. The zero value means none.
type Private struct{ b [Size]byte }

// Public is a Curve25519 public key. Comparable; a map key.
type Public [Size]byte

// Preshared is the optional symmetric key. The zero value means none, which
// is also what the protocol uses in its place (A9).
type Preshared struct{ b [Size]byte }
