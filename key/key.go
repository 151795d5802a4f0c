// Package key has the three kinds of key, each a type of its own so that none
// is taken for another. Printing a secret one, by any verb, gives "(hidden)".
//
// Private and Preshared are handles: the secret itself lies elsewhere in
// memory, once, and copies of the handle share it. So they may be passed and
// returned like any value, and yet the trace of a panic, in which Go prints the
// first bytes of all arguments, has nothing but an address.
//
// A secret leaves its type only by a method whose name says so: Base64, Hex,
// AppendHex and Bytes.
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

// Private is a Curve25519 private key, clamped. The zero value means none.
// Compare with Equal.
type Private struct {
	Hidden
	_ [0]func() // == would compare addresses
	b *[Size]byte
}

// Public is a Curve25519 public key. Comparable; a map key. The zero value
// means none: it is a point of low order, with which no handshake succeeds.
type Public [Size]byte

// Preshared is the optional symmetric key. The zero value means none, which
// is also what the protocol uses in its place (A9). Compare with Equal.
type Preshared struct {
	Hidden
	_ [0]func() // == would compare addresses
	b *[Size]byte
}

// NewPrivate is the private key with these bytes, clamped, which it copies. 32
// zero bytes are no key: that is how every front end takes a key away.
func NewPrivate(b *[Size]byte) Private {
	k := Private{b: newSecret(b)}
	if k.b != nil {
		k.b[0] &= 0xf8
		k.b[31] = k.b[31]&0x7f | 0x40
	}
	return k
}

// NewPreshared is the preshared key with these bytes, which it copies. 32 zero
// bytes are no key.
func NewPreshared(b *[Size]byte) Preshared { return Preshared{b: newSecret(b)} }

// GeneratePrivate makes a private key of 32 bytes from random.
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

// GeneratePreshared makes a preshared key of 32 bytes from random.
func GeneratePreshared(random io.Reader) (Preshared, error) {
	var b [Size]byte
	defer clear(b[:])
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Preshared{}, fmt.Errorf("preshared key: no random bytes: %w", err)
	}
	return NewPreshared(&b), nil
}

// Public is the public key that belongs to k; the zero key's is the zero key.
func (k Private) Public() (public Public) {
	if k.IsZero() {
		return Public{}
	}
	defer erase.Stack()
	// Where X25519 is forbidden no key is generated or parsed (Permitted). Who
	// made one of bytes gets what he asks for, rather than a panic.
	fips140.WithoutEnforcement(func() {
		p, err := ecdh.X25519().NewPrivateKey(k.b[:])
		if err != nil {
			panic("key: 32 bytes refused as an X25519 private key: " + err.Error())
		}
		public = Public(p.PublicKey().Bytes())
	})
	return public
}

// IsZero reports whether there is no key.
func (k Private) IsZero() bool { return isZero(k.b) }

// Equal compares in constant time.
func (k Private) Equal(other Private) bool { return equal(k.b, other.b) }

// Bytes is a copy of the secret, for the caller to zero.
func (k Private) Bytes() []byte { return toBytes(k.b) }

// Base64 shows the secret as wg(8) writes it.
func (k Private) Base64() string { return toBase64(k.b) }

// Hex shows the secret as the configuration protocol writes it.
func (k Private) Hex() string { return toHex(k.b) }

// AppendHex appends what Hex gives to dst, which can be zeroed afterwards as a
// string cannot.
func (k Private) AppendHex(dst []byte) []byte { return appendHex(dst, k.b) }

// Clone is the same key in memory of its own: it outlives an Erase of k.
func (k Private) Clone() Private { return Private{b: newSecret(k.b)} }

// Erase zeroes the key for all who have this handle or a copy of it: to them it
// is the zero key. Nobody may use it meanwhile.
func (k Private) Erase() { eraseBytes(k.b) }

// IsZero reports whether there is no key.
func (k Preshared) IsZero() bool { return isZero(k.b) }

// Equal compares in constant time.
func (k Preshared) Equal(other Preshared) bool { return equal(k.b, other.b) }

// Bytes is a copy of the secret, for the caller to zero. The zero key's are 32
// zero bytes.
func (k Preshared) Bytes() []byte { return toBytes(k.b) }

// Base64 shows the secret as wg(8) writes it.
func (k Preshared) Base64() string { return toBase64(k.b) }

// Hex shows the secret as the configuration protocol writes it.
func (k Preshared) Hex() string { return toHex(k.b) }

// AppendHex appends what Hex gives to dst, which can be zeroed afterwards as a
// string cannot.
func (k Preshared) AppendHex(dst []byte) []byte { return appendHex(dst, k.b) }

// Clone is the same key in memory of its own: it outlives an Erase of k.
func (k Preshared) Clone() Preshared { return Preshared{b: newSecret(k.b)} }

// Erase zeroes the key for all who have this handle or a copy of it: to them it
// is the zero key. Nobody may use it meanwhile.
func (k Preshared) Erase() { eraseBytes(k.b) }

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
