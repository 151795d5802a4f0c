// Package key has the three kinds of key, each a type of its own so that none
// is taken for another. Printing a secret one, by any verb, gives "(hidden)".
//
// A secret leaves its type only by a method whose name says so: Base64, Hex
// and Bytes.
package key

import (
	"bytes"
	"crypto/ecdh"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
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

// LowOrder reports whether the key is a point of order 8 or less, the zero key
// included. Diffie-Hellman with it gives zero whatever the private key, so no
// handshake with its owner can succeed (A10, A11).
func (k Public) LowOrder() bool {
	k[Size-1] &= 0x7f // X25519 ignores bit 255
	return slices.Contains(lowOrder, k)
}

// lowOrder are the encodings of these points, those included whose coordinate
// is not reduced modulo p = 2^255 - 19.
var lowOrder = []Public{
	{},  // 0, of order 4
	{1}, // 1, of order 1
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}, // of order 8
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}, // of order 8
	nearP(0xec), // p-1, of order 2
	nearP(0xed), // p, which is 0
	nearP(0xee), // p+1, which is 1
}

// nearP is the number with the lowest byte of its own and the others of p.
func nearP(lowest byte) Public {
	k := Public(bytes.Repeat([]byte{0xff}, Size))
	k[0], k[Size-1] = lowest, 0x7f
	return k
}

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
