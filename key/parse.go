package key

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// ParsePrivate reads a private key in base64, as wg(8) writes it: 44 characters.
// White space around it is ignored. The error does not contain s.
func ParsePrivate(s string) (Private, error) { return private(s, fromBase64) }

// ParsePublic reads a public key in base64, as ParsePrivate does.
func ParsePublic(s string) (Public, error) { return public(s, fromBase64) }

// ParsePreshared reads a preshared key in base64, as ParsePrivate does.
func ParsePreshared(s string) (Preshared, error) { return preshared(s, fromBase64) }

// ParsePrivateHex reads a private key in hexadecimal, as the control socket uses
// it: 64 digits, and no white space. The error does not contain s.
func ParsePrivateHex(s string) (Private, error) { return private(s, fromHex) }

// ParsePublicHex reads a public key in hexadecimal, as ParsePrivateHex does.
func ParsePublicHex(s string) (Public, error) { return public(s, fromHex) }

// ParsePresharedHex reads a preshared key in hexadecimal, as ParsePrivateHex
// does.
func ParsePresharedHex(s string) (Preshared, error) { return preshared(s, fromHex) }

// IsEncoded reports whether s is a complete key of any kind, in base64 or in
// hexadecimal, without white space.
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

// A decoder decodes s, which is a key of the kind what, into b.
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

// The errors below never contain the text: it may be a secret with one typing
// error.

func fromBase64(what, s string, b *[Size]byte) error {
	s = strings.TrimSpace(s)
	if len(s) != base64Len {
		return fmt.Errorf("%s: %d characters: write the %d bytes as %d characters of base64", what, len(s), Size, base64Len)
	}
	// One byte longer than a key, because the decoder writes whole groups.
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
