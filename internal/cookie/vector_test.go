package cookie

import (
	"encoding/hex"
	"testing"

	"wgd/key"
)

// Messages with their MACs, by the same program as the vector in package
// noise: an initiation without a cookie, a response with the cookie 0 to 15.
const (
	vectorInitiation = "010000000403020179a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51af0225eb421886af8" +
		"f54fb31289d49dcd82b0f6f3279d40d7cff913fece0c64ad226eef3320755b393b72f16842c8d7ee78a74e937e3f2a82" +
		"88f4ecc1497e7a82cd9af09985477636df84c362c968dd731803722deba90b3c38c0cc4b000000000000000000000000" +
		"00000000"
	vectorResponse = "020000000807060504030201675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52fa89d3736" +
		"1ef7266427173427abbeccd08de9dcd35e9fe1c550045e5935509e679c325649077ce843bce19b61b4ae8b76"
)

// A22, A23, A24: mac1 and mac2, byte for byte. The public keys belong to the
// private keys of bytes 0 to 31 (initiator) and 32 to 63 (responder).
func TestVector(t *testing.T) {
	var i, r [32]byte
	var cookie mac
	for n := range i {
		i[n], r[n] = byte(n), byte(32+n)
		cookie[n%16] = byte(n % 16)
	}
	toResponder := NewMaker(key.NewPrivate(&r).Public())
	toInitiator := NewMaker(key.NewPrivate(&i).Public())
	toInitiator.cookie, toInitiator.received = cookie, start
	for _, c := range []struct {
		m      *Maker
		vector string
	}{{toResponder, vectorInitiation}, {toInitiator, vectorResponse}} {
		msg, err := hex.DecodeString(c.vector)
		if err != nil {
			t.Fatal(err)
		}
		for n := range msg[len(msg)-32:] {
			msg[len(msg)-32+n] = 0xaa
		}
		c.m.AddMACs(start, msg)
		if got := hex.EncodeToString(msg); got != c.vector {
			t.Errorf("got %s, want %s", got, c.vector)
		}
	}
}
