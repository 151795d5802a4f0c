package noise

import (
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"wgd/internal/wire"
	"wgd/key"
)

// A transcript is both running values of a handshake: the chaining key, which
// everything secret goes into, and the hash of all that was on the wire.
type transcript struct {
	chain [32]byte
	hash  [32]byte
}

// The values of a handshake to which nobody has contributed yet (§5.4).
var (
	initialChain = blake2s.Sum256([]byte("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"))
	initialHash  = mixed(&initialChain, []byte("WireGuard v1 zx2c4 Jason@zx2c4.com"))
)

// mixHash takes b into the hash.
func (t *transcript) mixHash(b []byte) { t.hash = mixed(&t.hash, b) }

// mixKey takes a secret, or an ephemeral public key, into the chaining key.
func (t *transcript) mixKey(secret *[32]byte) {
	extracted := hmac(&t.chain, secret[:])
	t.chain = expand(&extracted, nil, 1)
	clear(extracted[:])
}

// mixKeyTo is mixKey that also leaves a key for one seal or open.
func (t *transcript) mixKeyTo(k *[32]byte, secret *[32]byte) {
	extracted := hmac(&t.chain, secret[:])
	t.chain = expand(&extracted, nil, 1)
	*k = expand(&extracted, &t.chain, 2)
	clear(extracted[:])
}

// mixPreshared takes the preshared key into both values, 32 zero bytes where
// there is none (A9), and leaves a key for one seal or open.
func (t *transcript) mixPreshared(k *[32]byte, psk *key.Preshared) {
	var preshared [key.Size]byte
	if psk != nil {
		preshared = psk.Bytes()
	}
	extracted := hmac(&t.chain, preshared[:])
	clear(preshared[:])
	t.chain = expand(&extracted, nil, 1)
	tau := expand(&extracted, &t.chain, 2)
	*k = expand(&extracted, &tau, 3)
	t.mixHash(tau[:])
	clear(extracted[:])
	clear(tau[:])
}

// split is the end of a handshake: the initiator sends with first, the
// responder with second.
func (t *transcript) split() (first, second [32]byte) {
	extracted := hmac(&t.chain, nil)
	first = expand(&extracted, nil, 1)
	second = expand(&extracted, &first, 2)
	clear(extracted[:])
	return first, second
}

// seal encrypts plain into sealed, which is a tag longer, and takes that into
// the hash. k seals once: the nonce is 0 (A9).
func (t *transcript) seal(k *[32]byte, sealed, plain []byte) {
	cipher, err := chacha20poly1305.New(k[:])
	if err != nil {
		panic("noise: 32 bytes refused as a key: " + err.Error())
	}
	var nonce [chacha20poly1305.NonceSize]byte
	cipher.Seal(sealed[:0], nonce[:], plain, t.hash[:])
	t.mixHash(sealed)
}

// open is the way back; on failure plain is zeroed and t is of no more use.
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

// mixed is HASH(h ‖ b). All that is ever mixed into the hash is at most as
// long as an encrypted static key (or the prologue), so it fits a fixed
// buffer and needs no memory of the heap.
func mixed(h *[32]byte, b []byte) [32]byte {
	var room [32 + 32 + wire.TagSize]byte
	n := copy(room[:], h[:])
	n += copy(room[n:], b)
	return blake2s.Sum256(room[:n])
}

// hmac is HMAC-BLAKE2s of at most 33 bytes; the key is always 32.
func hmac(k *[32]byte, b []byte) [32]byte {
	var room [blake2s.BlockSize + 33]byte
	pad(&room, k, 0x36)
	n := copy(room[blake2s.BlockSize:], b)
	inner := blake2s.Sum256(room[:blake2s.BlockSize+n])
	pad(&room, k, 0x5c)
	copy(room[blake2s.BlockSize:], inner[:])
	outer := blake2s.Sum256(room[:blake2s.BlockSize+len(inner)])
	clear(room[:])
	return outer
}

// pad writes the block that HMAC puts before its message.
func pad(room *[blake2s.BlockSize + 33]byte, k *[32]byte, with byte) {
	for i := range blake2s.BlockSize {
		room[i] = with
	}
	for i, b := range k {
		room[i] ^= b
	}
}

// expand is output number i of HKDF (RFC 5869); previous is the one before it,
// nil for the first.
func expand(extracted, previous *[32]byte, i byte) [32]byte {
	if previous == nil {
		return hmac(extracted, []byte{i})
	}
	var room [33]byte
	copy(room[:], previous[:])
	room[32] = i
	out := hmac(extracted, room[:])
	clear(room[:])
	return out
}
