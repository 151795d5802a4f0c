//go:build nullaead

// NO ENCRYPTION. NO AUTHENTICATION. With this file in the build, every packet
// goes over the network as it is, for everybody to read and to forge.
//
// It serves one purpose: the benchmark compares wgd with the same program
// without a cipher, to say how much of what this machine can relay is left when
// packets are encrypted. It is in no build that is not made with -tags nullaead;
// such a build warns whenever it starts, says so in --version, and does not
// understand the traffic of any other.

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
	// No kernel works on groups: it would encrypt.
	chosen, chosenName = kernel{}, noEncryption
	if stillEncrypts() {
		panic("aead: built with -tags nullaead, and encrypts: null.go must switch off what does")
	}
	os.Stderr.WriteString("WARNING: " + noEncryption + ": every packet can be read and forged by everybody\n")
}

// stillEncrypts reports whether a batch of any usual size is encrypted all the
// same, which would make the benchmark's comparison worthless.
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
		k.Seal(buf, packets, 0)
		for _, p := range packets {
			if msg := p.in(buf); string(msg[HeaderSize:HeaderSize+text]) != string(make([]byte, text)) {
				return true
			}
		}
	}
	return false
}

// nullTag is the tag of every packet, so that only this build takes what it makes.
const nullTag = "no encryption!!!"

// nullCipher leaves texts as they are. Unlike other ciphers it works in place
// alone: a text is where its result shall be, as sealOne and openOne have it.
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
		return nil, errors.New("not by a build without encryption")
	}
	return dst[:len(dst)+n], nil
}
