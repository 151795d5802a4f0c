package key

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// ParsePrivate reads a private key as wg(8) writes it: 44 characters of
// base64 for 32 bytes. White space around it, as a file has it, is dropped.
func ParsePrivate(s string) (Private, error) { return private(s, fromBase64) }

// ParsePublic reads a public key in base64.
func ParsePublic(s string) (Public, error) { return public(s, fromBase64) }

// ParsePreshared reads a preshared key in base64.
func ParsePreshared(s string) (Preshared, error) { return preshared(s, fromBase64) }

// ParsePrivateHex reads a private key as the configuration protocol writes
// it: 64 hexadecimal digits.
func ParsePrivateHex(s string) (Private, error) { return private(s, fromHex) }

// ParsePublicHex reads a public key of 64 hexadecimal digits.
func ParsePublicHex(s string) (Public, error) { return public(s, fromHex) }

// ParsePresharedHex reads a preshared key of 64 hexadecimal digits.
func ParsePresharedHex(s string) (Preshared, error) { return preshared(s, fromHex) }

// IsEncoded reports whether s is a whole key, of any kind, as people or the
// configuration protocol write it.
func IsEncoded(s string) bool {
	var b [Size]byte
	defer clear(b[:])
	switch len(s) {
	case base64Len:
		return fromBase64("", s, &b) == nil
	case hex.EncodedLen(Size):
		return fromHex("", s, &b) == nil
	}
	return false
}

// A decoder writes the bytes of a key that is written as s into b.
type decoder func(what, s string, b *[Size]byte) error

func private(s string, decode decoder) (Private, error) {
	if err := Permitted(); err != nil {
		return Private{}, fmt.Errorf("private key: %w", err)
	}
	var b [Size]byte
	defer clear(b[:])
	if err := decode("private key", s, &b); err != nil {
		return Private{}, err
	}
	return NewPrivate(&b), nil
}

func public(s string, decode decoder) (k Public, err error) {
	err = decode("public key", s, (*[Size]byte)(&k))
	return k, err
}

func preshared(s string, decode decoder) (Preshared, error) {
	var b [Size]byte
	defer clear(b[:])
	if err := decode("preshared key", s, &b); err != nil {
		return Preshared{}, err
	}
	return NewPreshared(&b), nil
}

var (
	base64Len = base64.StdEncoding.EncodedLen(Size)
	strict    = base64.StdEncoding.Strict()
)

// The errors below never repeat the text: it may be a secret with one typing
// error.

func fromBase64(what, s string, b *[Size]byte) error {
	s = strings.TrimSpace(s)
	if len(s) != base64Len {
		return fmt.Errorf("%s: %d characters: write the %d bytes as %d characters of base64", what, len(s), Size, base64Len)
	}
	// One byte more than a key, because the decoder wants room for whole groups.
	var decoded [Size + 1]byte
	defer clear(decoded[:])
	text := []byte(s)
	defer clear(text)
	n, err := strict.Decode(decoded[:], text)
	if err != nil || n != Size {
		return fmt.Errorf("%s: not the base64 of %d bytes: copy it again, as wg-keygen printed it", what, Size)
	}
	copy(b[:], decoded[:])
	return nil
}

func fromHex(what, s string, b *[Size]byte) error {
	if len(s) != hex.EncodedLen(Size) {
		return fmt.Errorf("%s: %d characters: write the %d bytes as %d hexadecimal digits", what, len(s), Size, hex.EncodedLen(Size))
	}
	text := []byte(s)
	defer clear(text)
	if _, err := hex.Decode(b[:], text); err != nil {
		clear(b[:])
		return fmt.Errorf("%s: not hexadecimal: write digits 0 to 9 and a to f only", what)
	}
	return nil
}
