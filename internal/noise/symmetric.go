package noise

import (
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"wgd/internal/wire"
	"wgd/key"
)

// A transcript holds the two running values of a handshake: the chaining key,
// derived from all secrets, and the hash of all fields sent.
type transcript struct {
	chain [32]byte
	hash  [32]byte
}

// The initial values of a handshake (§5.4).
var (
	initialChain = blake2s.Sum256([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	initialHash  [32]byte
)

func init() { mix(&initialHash, &initialChain, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com")) }

// mixHash mixes b into the hash.
func (t *transcript) mixHash(b []byte) { mix(&t.hash, &t.hash, b) }

// mixKey mixes a secret, or an ephemeral public key, into the chaining key.
func (t *transcript) mixKey(secret *[32]byte) {
	var extracted [32]byte
	defer clear(extracted[:])
	hmac(&extracted, &t.chain, secret[:])
	expand(&t.chain, &extracted, nil, 1)
}

// mixKeyTo is like mixKey, and also derives a key for one seal or open.
func (t *transcript) mixKeyTo(k *[32]byte, secret *[32]byte) {
	var extracted [32]byte
	defer clear(extracted[:])
	hmac(&extracted, &t.chain, secret[:])
	expand(&t.chain, &extracted, nil, 1)
	expand(k, &extracted, &t.chain, 2)
}

// mixPreshared mixes the preshared key, or 32 zero bytes if there is none (A9),
// into both values, and derives a key for one seal or open.
func (t *transcript) mixPreshared(k *[32]byte, psk key.Preshared) {
	var extracted, tau [32]byte
	defer clear(extracted[:])
	defer clear(tau[:])
	preshared := psk.Bytes()
	defer clear(preshared)
	hmac(&extracted, &t.chain, preshared)
	expand(&t.chain, &extracted, nil, 1)
	expand(&tau, &extracted, &t.chain, 2)
	expand(k, &extracted, &tau, 3)
	t.mixHash(tau[:])
}

// split derives the keys of the session: the initiator sends with first, the
// responder with second.
func (t *transcript) split(first, second *[32]byte) {
	var extracted [32]byte
	defer clear(extracted[:])
	hmac(&extracted, &t.chain, nil)
	expand(first, &extracted, nil, 1)
	expand(second, &extracted, first, 2)
}

// seal encrypts plain into sealed, which is longer by a tag, and mixes sealed
// into the hash. k must seal only once: the nonce is 0 (A9).
func (t *transcript) seal(k *[32]byte, sealed, plain []byte) {
	cipher, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("noise: 32 bytes refused as a key: " + err.Error())
	}
	var nonce [chacha20poly1305.NonceSize]byte
	cipher.Seal(sealed[:0], nonce[:], plain, t.hash[:])
	t.mixHash(sealed)
}

// open reverses seal. If it fails, plain is zeroed and t must not be used again.
func (t *transcript) open(k *[32]byte, plain, sealed []byte) bool {
	cipher, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("noise: 32 bytes refused as a key: " + err.Error())
	}
	var nonce [chacha20poly1305.NonceSize]byte
	if _, err := cipher.Open(plain[:0], nonce[:], sealed, t.hash[:]); err != nil {
		clear(plain)
		return false
	}
	t.mixHash(sealed)
	return true
}

func (t *transcript) erase() { *t = transcript{} }

// The following functions write to out, which may alias an input. They pass
// secrets by address because the trace of a panic prints values.

// mix computes HASH(h ‖ b). Nothing mixed into the hash is longer than an
// encrypted static key (or the prologue), so a fixed buffer on the stack is
// enough.
func mix(out, h *[32]byte, b []byte) {
	var buf [32 + 32 + wire.TagSize]byte
	n := copy(buf[:], h[:])
	n += copy(buf[n:], b)
	*out = blake2s.Sum256(buf[:n])
}

// hmac computes HMAC-BLAKE2s of at most 33 bytes, with a key of 32 bytes.
func hmac(out, k *[32]byte, b []byte) {
	var buf [blake2s.BlockSize + 33]byte
	defer clear(buf[:])
	pad(&buf, k, 0x36)
	n := copy(buf[blake2s.BlockSize:], b)
	inner := blake2s.Sum256(buf[:blake2s.BlockSize+n])
	defer clear(inner[:])
	pad(&buf, k, 0x5c)
	copy(buf[blake2s.BlockSize:], inner[:])
	*out = blake2s.Sum256(buf[:blake2s.BlockSize+len(inner)])
}

// pad writes the padded key, the block that precedes the message in HMAC.
func pad(buf *[blake2s.BlockSize + 33]byte, k *[32]byte, with byte) {
	for i := range blake2s.BlockSize {
		buf[i] = with
	}
	for i, b := range k {
		buf[i] ^= b
	}
}

// expand computes output number i of HKDF (RFC 5869) from the previous one, which
// is nil for the first.
func expand(out, extracted, previous *[32]byte, i byte) {
	var buf [33]byte
	defer clear(buf[:])
	n := 0
	if previous != nil {
		n = copy(buf[:], previous[:])
	}
	buf[n] = i
	hmac(out, extracted, buf[:n+1])
}
