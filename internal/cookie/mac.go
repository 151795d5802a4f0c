package cookie

import (
	"hash"
	"time"

	"golang.org/x/crypto/blake2s"

	"wgd/internal/wire"
	"wgd/key"
)

// maxAge is the time for which a receiver keeps the secret of its cookies, and
// for which a sender uses a cookie (A24).
const maxAge = 120 * time.Second

const (
	mac1Label   = "mac1----"
	cookieLabel = "cookie--"
)

// A mac is mac1, mac2, or a cookie.
type mac = [wire.MACSize]byte

// labelled writes HASH(label ‖ public), the key of mac1 and of cookie replies,
// to k.
func labelled(k *[blake2s.Size]byte, label string, public key.Public) {
	var room [8 + key.Size]byte
	copy(room[copy(room[:], label):], public[:])
	*k = blake2s.Sum256(room[:])
}

// newMAC returns keyed BLAKE2s-128.
func newMAC(k []byte) hash.Hash {
	h, err := blake2s.New128(k)
	if err != nil {
		panic("cookie: key refused for a MAC: " + err.Error())
	}
	return h
}

// A handshake message ends with mac1 and mac2. Each covers everything before it.
func mac1Of(msg []byte) (covered, field []byte) {
	at := len(msg) - 2*wire.MACSize
	return msg[:at], msg[at : at+wire.MACSize]
}

func mac2Of(msg []byte) (covered, field []byte) {
	at := len(msg) - wire.MACSize
	return msg[:at], msg[at:]
}

// HasMAC2 reports whether the mac2 of an initiation or response is set, be it right or
// wrong. A sender without a cookie leaves it zero (A23).
func HasMAC2(msg []byte) bool {
	_, field := mac2Of(msg)
	return mac(field) != mac{}
}

// hasMACs reports whether msg is a message with these fields.
func hasMACs(msg []byte) bool {
	t, ok := wire.TypeOf(msg)
	return ok && (t == wire.TypeInitiation || t == wire.TypeResponse)
}
