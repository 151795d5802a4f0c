package key

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// ParsePrivate reads a private key as wg(8) writes it: 44 characters of
// base64 for 32 bytes. White space around it, as a file has it, is dropped.
func ParsePrivate(s string) (Private, error) { return private(fromBase64("private key", s)) }

// ParsePublic reads a public key in base64.
func ParsePublic(s string) (Public, error) { return public(fromBase64("public key", s)) }

// ParsePreshared reads a preshared key in base64.
func ParsePreshared(s string) (Preshared, error) { return preshared(fromBase64("preshared key", s)) }

// ParsePrivateHex reads a private key as the configuration protocol writes
// it: 64 hexadecimal digits.
func ParsePrivateHex(s string) (Private, error) { return private(fromHex("private key", s)) }

// ParsePublicHex reads a public key of 64 hexadecimal digits.
func ParsePublicHex(s string) (Public, error) { return public(fromHex("public key", s)) }

// ParsePresharedHex reads a preshared key of 64 hexadecimal digits.
func ParsePresharedHex(s string) (Preshared, error) { return preshared(fromHex("preshared key", s)) }

// IsEncoded reports whether s is a whole key, of any kind, as people or the
// configuration protocol write it.
func IsEncoded(s string) bool {
	var err error
	switch len(s) {
	case base64Len:
		_, err = fromBase64("", s)
	case hex.EncodedLen(Size):
		_, err = fromHex("", s)
	default:
		return false
	}
	return err == nil
}

func private(b [Size]byte, err error) (Private, error) {
	if err != nil {
		return Private{}, err
	}
	return NewPrivate(&b), nil
}

func public(b [Size]byte, err error) (Public, error) { return b, err }

func preshared(b [Size]byte, err error) (Preshared, error) { return Preshared{b: b}, err }

var (
	base64Len = base64.StdEncoding.EncodedLen(Size)
	strict    = base64.StdEncoding.Strict()
)

// The errors below never repeat the text: it may be a secret with one typing
// error.

func fromBase64(what, s string) (b [Size]byte, err error) {
	s = strings.TrimSpace(s)
	if len(s) != base64Len {
		return b, fmt.Errorf("%s: %d characters: write the %d bytes as %d characters of base64", what, len(s), Size, base64Len)
	}
	// One byte more than a key, because the decoder wants room for whole groups.
	var room [Size + 1]byte
	defer clear(room[:])
	n, err := strict.Decode(room[:], []byte(s))
	if err != nil || n != Size {
		return b, fmt.Errorf("%s: not the base64 of %d bytes: copy it again, as wg-keygen printed it", what, Size)
	}
	return [Size]byte(room[:Size]), nil
}

func fromHex(what, s string) (b [Size]byte, err error) {
	if len(s) != hex.EncodedLen(Size) {
		return b, fmt.Errorf("%s: %d characters: write the %d bytes as %d hexadecimal digits", what, len(s), Size, hex.EncodedLen(Size))
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return [Size]byte{}, fmt.Errorf("%s: not hexadecimal: write digits 0 to 9 and a to f only", what)
	}
	return b, nil
}
