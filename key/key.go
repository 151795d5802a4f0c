// Package key has the three kinds of key, each a type of its own so that none
// is taken for another. Printing a secret one, by any verb, gives "(hidden)".
//
// A secret leaves its type only by a method whose name says so: Base64, Hex
// and Bytes.
package key

import (
	"crypto/ecdh"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
)

// Size is the length of every key in bytes.
const Size = 32

// Private is a Curve25519 private key, clamped. The zero value means none.
type Private struct {
	Hidden
	b [Size]byte
}

// Public is a Curve25519 public key. Comparable; a map key. The zero value
// means none: it is a point of low order, with which no handshake succeeds.
type Public [Size]byte

// Preshared is the optional symmetric key. The zero value means none, which
// is also what the protocol uses in its place (A9).
type Preshared struct {
	Hidden
	b [Size]byte
}

// NewPrivate is the private key with these bytes, clamped. 32 zero bytes are
// no key, and stay so: that is how every front end takes a key away.
func NewPrivate(b *[Size]byte) Private {
	k := Private{b: *b}
	if isZero(&k.b) {
		return k
	}
	k.b[0] &= 0xf8
	k.b[31] = k.b[31]&0x7f | 0x40
	return k
}

// NewPreshared is the preshared key with these bytes.
func NewPreshared(b *[Size]byte) Preshared { return Preshared{b: *b} }

// GeneratePrivate makes a private key of 32 bytes from random.
func GeneratePrivate(random io.Reader) (Private, error) {
	var b [Size]byte
	defer clear(b[:])
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Private{}, fmt.Errorf("private key: no random bytes: %w", err)
	}
	return NewPrivate(&b), nil
}

// GeneratePreshared makes a preshared key of 32 bytes from random.
func GeneratePreshared(random io.Reader) (Preshared, error) {
	var k Preshared
	if _, err := io.ReadFull(random, k.b[:]); err != nil {
		return Preshared{}, fmt.Errorf("preshared key: no random bytes: %w", err)
	}
	return k, nil
}

// Public is the public key that belongs to k; the zero key's is the zero key.
func (k Private) Public() Public {
	if k.IsZero() {
		return Public{}
	}
	p, err := ecdh.X25519().NewPrivateKey(k.b[:])
	if err != nil {
		panic("key: 32 bytes refused as an X25519 private key: " + err.Error())
	}
	return Public(p.PublicKey().Bytes())
}

// IsZero reports whether there is no key.
func (k Private) IsZero() bool { return isZero(&k.b) }

// Equal compares in constant time.
func (k Private) Equal(other Private) bool {
	return subtle.ConstantTimeCompare(k.b[:], other.b[:]) == 1
}

// Bytes is a copy of the secret, for the caller to zero.
func (k Private) Bytes() [Size]byte { return k.b }

// Base64 shows the secret as wg(8) writes it.
func (k Private) Base64() string { return base64.StdEncoding.EncodeToString(k.b[:]) }

// Hex shows the secret as the configuration protocol writes it.
func (k Private) Hex() string { return hex.EncodeToString(k.b[:]) }

// Erase zeroes this copy of the key.
func (k *Private) Erase() { clear(k.b[:]) }

// IsZero reports whether there is no key.
func (k Preshared) IsZero() bool { return isZero(&k.b) }

// Equal compares in constant time.
func (k Preshared) Equal(other Preshared) bool {
	return subtle.ConstantTimeCompare(k.b[:], other.b[:]) == 1
}

// Bytes is a copy of the secret, for the caller to zero.
func (k Preshared) Bytes() [Size]byte { return k.b }

// Base64 shows the secret as wg(8) writes it.
func (k Preshared) Base64() string { return base64.StdEncoding.EncodeToString(k.b[:]) }

// Hex shows the secret as the configuration protocol writes it.
func (k Preshared) Hex() string { return hex.EncodeToString(k.b[:]) }

// Erase zeroes this copy of the key.
func (k *Preshared) Erase() { clear(k.b[:]) }

// IsZero reports whether there is no key.
func (k Public) IsZero() bool { return k == Public{} }

// Base64 is the key as people write it.
func (k Public) Base64() string { return base64.StdEncoding.EncodeToString(k[:]) }

// String is Base64.
func (k Public) String() string { return k.Base64() }

// Hex is the key as the configuration protocol writes it.
func (k Public) Hex() string { return hex.EncodeToString(k[:]) }

// MarshalText is Base64.
func (k Public) MarshalText() ([]byte, error) { return []byte(k.Base64()), nil }

// UnmarshalText is ParsePublic.
func (k *Public) UnmarshalText(text []byte) error {
	parsed, err := ParsePublic(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

func isZero(b *[Size]byte) bool {
	var zero [Size]byte
	return subtle.ConstantTimeCompare(b[:], zero[:]) == 1
}
