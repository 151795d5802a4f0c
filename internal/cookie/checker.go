package cookie

import (
	"crypto/cipher"
	"crypto/subtle"
	"hash"
	"io"
	"net/netip"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// Checker is the receiver's side of mac1, mac2 and cookies. It is not safe for
// concurrent use.
type Checker struct {
	key.Hidden
	mac1   hash.Hash   // nil: no key
	cipher cipher.AEAD // of cookie replies

	// Cookies are MACs of source addresses under a secret of our own (A24). made is
	// the time at which the secret was made, or 0 if there is none.
	random  io.Reader
	cookies hash.Hash
	made    clock.Time

	sum   [blake2s.Size]byte // where hashes write, so that nothing is allocated
	room  [18]byte           // an address and a port
	msg   wire.CookieReply
	reply [wire.CookieReplySize]byte
}

// NewChecker returns a Checker for the owner of a public key. It reads 32 bytes
// from random for each secret and 24 for each reply.
func NewChecker(public key.Public, random io.Reader) *Checker {
	c := &Checker{random: random}
	c.SetKey(public)
	return c
}

// SetKey changes the owner. The zero key means that there is none.
func (c *Checker) SetKey(public key.Public) {
	c.mac1, c.cipher = nil, nil
	if public.IsZero() {
		return
	}
	var k [blake2s.Size]byte
	labelled(&k, mac1Label, public)
	c.mac1 = newMAC(k[:])
	labelled(&k, cookieLabel, public)
	c.cipher = newCipher(&k)
}

// HasKey reports whether there is an owner.
func (c *Checker) HasKey() bool { return c.mac1 != nil }

// CheckMAC1 reports whether the sender of an initiation or response knows the
// owner's public key (A22). It returns false if there is no owner.
func (c *Checker) CheckMAC1(msg []byte) bool {
	if c.mac1 == nil {
		return false
	}
	covered, field := mac1Of(msg)
	c.mac1.Reset()
	c.mac1.Write(covered)
	return subtle.ConstantTimeCompare(c.mac1.Sum(c.sum[:0]), field) == 1
}

// CheckMAC2 reports whether the sender of an initiation or response has the
// cookie of the address and port that it came from (A24, B5, B42).
func (c *Checker) CheckMAC2(now clock.Time, from netip.AddrPort, msg []byte) bool {
	if !c.secretLives(now) {
		return false
	}
	covered, field := mac2Of(msg)
	h := newMAC(c.cookieOf(from))
	h.Write(covered)
	return subtle.ConstantTimeCompare(h.Sum(c.sum[:0]), field) == 1
}

// Reply returns the cookie reply to an initiation or response whose mac1 is
// valid (A25). The reply is valid until the next call. Reply returns false if
// there are no random bytes.
func (c *Checker) Reply(now clock.Time, from netip.AddrPort, msg []byte) ([]byte, bool) {
	if c.cipher == nil {
		return nil, false
	}
	if !c.secretLives(now) && !c.renew(now) {
		return nil, false
	}
	if _, err := io.ReadFull(c.random, c.msg.Nonce[:]); err != nil {
		return nil, false
	}
	_, mac1 := mac1Of(msg)
	c.msg.Receiver = wire.SenderIndex(msg)
	c.cipher.Seal(c.msg.Cookie[:0], c.msg.Nonce[:], c.cookieOf(from), mac1)
	return c.msg.AppendTo(c.reply[:0]), true
}

// Erase forgets the owner and the secret.
func (c *Checker) Erase() { *c = Checker{random: c.random} }

func (c *Checker) secretLives(now clock.Time) bool {
	return c.made != 0 && now.Sub(c.made) < maxAge
}

// renew makes a new secret of 32 bytes (B38), which invalidates all cookies.
func (c *Checker) renew(now clock.Time) bool {
	var secret [blake2s.Size]byte
	defer clear(secret[:])
	if _, err := io.ReadFull(c.random, secret[:]); err != nil {
		return false
	}
	c.cookies, c.made = newMAC(secret[:]), now
	return true
}

// cookieOf returns the cookie of a source. It is valid until the next hash.
func (c *Checker) cookieOf(from netip.AddrPort) []byte {
	b := c.room[:0]
	if addr := from.Addr().Unmap(); addr.Is4() {
		four := addr.As4()
		b = append(b, four[:]...)
	} else {
		sixteen := addr.As16()
		b = append(b, sixteen[:]...)
	}
	b = append(b, byte(from.Port()>>8), byte(from.Port()))
	c.cookies.Reset()
	c.cookies.Write(b)
	return c.cookies.Sum(c.sum[:0])
}

// newCipher returns the cipher of cookie replies, XChaCha20-Poly1305.
func newCipher(k *[blake2s.Size]byte) cipher.AEAD {
	a, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		panic("cookie: 32 bytes refused as a key: " + err.Error())
	}
	return a
}
