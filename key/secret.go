package key

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
)

// These functions implement the methods of both secret types. The zero key is
// nil, or 32 zero bytes after it was erased.

// zero has the bytes of the zero key.
var zero [Size]byte

// newSecret returns a copy of b on the heap, or nil for the zero key.
func newSecret(b *[Size]byte) *[Size]byte {
	if isZero(b) {
		return nil
	}
	secret := new([Size]byte)
	*secret = *b
	return secret
}

func bytesOf(b *[Size]byte) []byte {
	if b == nil {
		return zero[:]
	}
	return b[:]
}

func isZero(b *[Size]byte) bool { return equal(b, nil) }

func equal(a, b *[Size]byte) bool {
	return subtle.ConstantTimeCompare(bytesOf(a), bytesOf(b)) == 1
}

func toBytes(b *[Size]byte) []byte {
	out := make([]byte, Size)
	copy(out, bytesOf(b))
	return out
}

func toBase64(b *[Size]byte) string { return base64.StdEncoding.EncodeToString(bytesOf(b)) }

func toHex(b *[Size]byte) string { return hex.EncodeToString(bytesOf(b)) }

func appendHex(dst []byte, b *[Size]byte) []byte { return hex.AppendEncode(dst, bytesOf(b)) }

func eraseBytes(b *[Size]byte) {
	if b != nil {
		clear(b[:])
	}
}
