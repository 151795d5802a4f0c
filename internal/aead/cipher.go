//go:build !nullaead

package aead

import (
	"crypto/cipher"

	"golang.org/x/crypto/chacha20poly1305"
)

// encrypts is false only in the build for benchmarks; see null.go.
const encrypts = true

// newCipher returns the cipher for single packets.
func newCipher(key []byte) (cipher.AEAD, error) { return chacha20poly1305.New(key) }
