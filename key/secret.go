package key

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
)

// What both secret types do with the bytes behind their handles. nil is the
// zero key, and so are 32 zero bytes, which an erased key has.

// zero is what stands for the zero key where bytes are wanted.
var zero [Size]byte

// newSecret is a copy of b on the heap; of no key it is none.
func newSecret(b *[Size]byte) *[Size]byte {
	if isZero(b) {
		return nil
	}
	kept := new([Size]byte)
	*kept = *b
	return kept
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
