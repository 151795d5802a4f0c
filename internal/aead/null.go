//go:build nullaead

// NO ENCRYPTION. NO AUTHENTICATION. With this file in the build, every packet
// is sent in the clear: anyone can read and forge it.
//
// It serves one purpose: the benchmark compares wgd with the same program
// without a cipher, to measure what encryption costs. Only a build with -tags
// nullaead contains it. Such a build prints a warning whenever it starts, says
// so in --version, and cannot exchange traffic with any other build.

package aead

import (
	"crypto/cipher"
	"errors"
	"os"
)

// encrypts is false: see above.
const encrypts = false

const noEncryption = "NO ENCRYPTION (built with -tags nullaead, for benchmarks only)"

func init() {
	// A kernel would encrypt: use none.
	chosen, chosenName = kernel{}, noEncryption
	if stillEncrypts() {
		panic("aead: built with -tags nullaead, but packets are encrypted: null.go must switch off what encrypts them")
	}
	os.Stderr.WriteString("WARNING: " + noEncryption + ": anyone can read and forge every packet\n")
}

// stillEncrypts reports whether a batch of any usual size is encrypted after
// all, which would invalidate the benchmark.
func stillEncrypts() bool {
	const text, count = 100, 64
	var k Key
	k.Set(new([KeySize]byte))
	for n := range count + 1 {
		buf := make([]byte, n*(text+MinSize))
		packets := make([]Packet, n)
		for i := range packets {
			packets[i] = Packet{int32(i * (text + MinSize)), text + MinSize}
		}
		changed := func() bool {
			for _, p := range packets {
				if msg := p.in(buf); string(msg[HeaderSize:HeaderSize+text]) != string(make([]byte, text)) {
					return true
				}
			}
			return false
		}
		// In between, because encrypting twice would decrypt.
		if k.Seal(buf, packets, 0); changed() {
			return true
		}
		if Seal([]Part{{&k, buf, packets[:n/2]}, {&k, buf, packets[n/2:]}}); changed() {
			return true
		}
	}
	return false
}

// nullTag is the tag of every packet, so that only such builds accept it.
const nullTag = "no encryption!!!"

// nullCipher leaves texts unchanged. Unlike other ciphers it only works in
// place, as sealOne and openOne use it.
type nullCipher struct{}

func newCipher([]byte) (cipher.AEAD, error) { return nullCipher{}, nil }

func (nullCipher) NonceSize() int { return HeaderSize - nonceAt }
func (nullCipher) Overhead() int  { return TagSize }

func (nullCipher) Seal(dst, _, plaintext, _ []byte) []byte {
	return append(dst[:len(dst)+len(plaintext)], nullTag...)
}

func (nullCipher) Open(dst, _, ciphertext, _ []byte) ([]byte, error) {
	n := len(ciphertext) - TagSize
	if n < 0 || string(ciphertext[n:]) != nullTag {
		return nil, errors.New("the packet is not from a build without encryption")
	}
	return dst[:len(dst)+n], nil
}
