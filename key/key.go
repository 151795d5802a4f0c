// Package key defines the three kinds of key: Private, Public and Preshared.
// Printing or encoding a private or preshared key gives "(hidden)".
//
// Private and Preshared are handles: the secret is stored once, elsewhere in
// memory, and copies of the handle share it. They may be passed and returned
// like any value. The trace of a panic, in which Go prints the first bytes of
// all arguments, then shows only an address.
//
// Only the methods Base64, Hex, AppendHex and Bytes return the secret.
package key

import (
	"bytes"
	"crypto/ecdh"
	"crypto/fips140"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"wgd/internal/erase"
)

// Size is the length of every key in bytes.
const Size = 32

// A Private is a Curve25519 private key, clamped. The zero value means no key.
// Use Equal to compare.
type Private struct {
	Hidden
	_ [0]func() // forbids ==, which would compare addresses
	b *[Size]byte
}

// A Public is a Curve25519 public key. It can be compared with ==, and be the
// key of a map. The zero value means no key: it is a point of low order, with
// which no handshake succeeds.
type Public [Size]byte

// A Preshared is a preshared key, the optional symmetric key of two peers. The
// zero value means no key; the protocol then uses 32 zero bytes. Use Equal to
// compare.
type Preshared struct { // A9
	Hidden
	_ [0]func() // forbids ==, which would compare addresses
	b *[Size]byte
}

// NewPrivate returns a private key with a copy of these bytes, clamped. For 32
// zero bytes it returns the zero key.
func NewPrivate(b *[Size]byte) Private {
	k := Private{b: newSecret(b)}
	if k.b != nil {
		k.b[0] &= 0xf8
		k.b[31] = k.b[31]&0x7f | 0x40
	}
	return k
}

// NewPreshared returns a preshared key with a copy of these bytes. For 32 zero
// bytes it returns the zero key.
func NewPreshared(b *[Size]byte) Preshared { return Preshared{b: newSecret(b)} }

// GeneratePrivate makes a private key of 32 bytes that it reads from random,
// which is crypto/rand.Reader except in tests.
func GeneratePrivate(random io.Reader) (Private, error) {
	if err := Permitted(); err != nil {
		return Private{}, fmt.Errorf("private key: %w", err)
	}
	var b [Size]byte
	defer clear(b[:])
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Private{}, fmt.Errorf("private key: no random bytes: %w", err)
	}
	return NewPrivate(&b), nil
}

// GeneratePreshared makes a preshared key of 32 bytes that it reads from random,
// which is crypto/rand.Reader except in tests.
func GeneratePreshared(random io.Reader) (Preshared, error) {
	var b [Size]byte
	defer clear(b[:])
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Preshared{}, fmt.Errorf("preshared key: no random bytes: %w", err)
	}
	return NewPreshared(&b), nil
}

// Public returns the public key that belongs to k. For the zero key it returns
// the zero key.
func (k Private) Public() (public Public) {
	if k.IsZero() {
		return Public{}
	}
	defer erase.Stack()
	// If X25519 is forbidden, no private key is generated or parsed (Permitted).
	// NewPrivate still makes one, and its public key is better than a panic.
	fips140.WithoutEnforcement(func() {
		p, err := ecdh.X25519().NewPrivateKey(k.b[:])
		if err != nil {
			panic("key: 32 bytes refused as an X25519 private key: " + err.Error())
		}
		public = Public(p.PublicKey().Bytes())
	})
	return public
}

// IsZero reports whether k is the zero key.
func (k Private) IsZero() bool { return isZero(k.b) }

// Equal reports whether k and other are the same key, in constant time.
func (k Private) Equal(other Private) bool { return equal(k.b, other.b) }

// Bytes returns a copy of the secret, which the caller should zero after use.
// For the zero key it returns 32 zero bytes.
func (k Private) Bytes() []byte { return toBytes(k.b) }

// Base64 returns the secret in base64, as wg(8) writes it.
func (k Private) Base64() string { return toBase64(k.b) }

// Hex returns the secret in hexadecimal, as the control socket uses it.
func (k Private) Hex() string { return toHex(k.b) }

// AppendHex appends the secret in hexadecimal to dst. Unlike the string that
// Hex returns, dst can be zeroed after use.
func (k Private) AppendHex(dst []byte) []byte { return appendHex(dst, k.b) }

// Clone returns the same key in memory of its own: erasing k does not affect it.
func (k Private) Clone() Private { return Private{b: newSecret(k.b)} }

// Erase zeroes the secret. k and all copies of it become the zero key. No other
// goroutine may use them during the call.
func (k Private) Erase() { eraseBytes(k.b) }

// IsZero reports whether k is the zero key.
func (k Preshared) IsZero() bool { return isZero(k.b) }

// Equal reports whether k and other are the same key, in constant time.
func (k Preshared) Equal(other Preshared) bool { return equal(k.b, other.b) }

// Bytes returns a copy of the secret, which the caller should zero after use.
// For the zero key it returns 32 zero bytes.
func (k Preshared) Bytes() []byte { return toBytes(k.b) }

// Base64 returns the secret in base64, as wg(8) writes it.
func (k Preshared) Base64() string { return toBase64(k.b) }

// Hex returns the secret in hexadecimal, as the control socket uses it.
func (k Preshared) Hex() string { return toHex(k.b) }

// AppendHex appends the secret in hexadecimal to dst. Unlike the string that
// Hex returns, dst can be zeroed after use.
func (k Preshared) AppendHex(dst []byte) []byte { return appendHex(dst, k.b) }

// Clone returns the same key in memory of its own: erasing k does not affect it.
func (k Preshared) Clone() Preshared { return Preshared{b: newSecret(k.b)} }

// Erase zeroes the secret. k and all copies of it become the zero key. No other
// goroutine may use them during the call.
func (k Preshared) Erase() { eraseBytes(k.b) }

// IsZero reports whether k is the zero key.
func (k Public) IsZero() bool { return k == Public{} }

// LowOrder reports whether k is a point of order 8 or less; the zero key is
// one. Diffie-Hellman with such a point gives zero for every private key, so no
// handshake with its owner can succeed.
func (k Public) LowOrder() bool { // A10, A11
	k[Size-1] &= 0x7f // X25519 ignores bit 255
	return slices.Contains(lowOrder, k)
}

// lowOrder has all encodings of these points, also those whose coordinate is
// not reduced modulo p = 2^255 - 19.
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

// nearP returns p with its lowest byte replaced.
func nearP(lowest byte) Public {
	k := Public(bytes.Repeat([]byte{0xff}, Size))
	k[0], k[Size-1] = lowest, 0x7f
	return k
}

// Base64 returns the key in base64, as wg(8) writes it.
func (k Public) Base64() string { return base64.StdEncoding.EncodeToString(k[:]) }

// String returns the key in base64.
func (k Public) String() string { return k.Base64() }

// Hex returns the key in hexadecimal, as the control socket uses it.
func (k Public) Hex() string { return hex.EncodeToString(k[:]) }

// MarshalText returns the key in base64.
func (k Public) MarshalText() ([]byte, error) { return []byte(k.Base64()), nil }

// UnmarshalText reads a key in base64, as ParsePublic does. On an error k stays
// as it is.
func (k *Public) UnmarshalText(text []byte) error {
	parsed, err := ParsePublic(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}
