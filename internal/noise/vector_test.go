package noise

import (
	"encoding/hex"
	"testing"
	"time"

	"wgd/internal/wire"
	"wgd/key"
)

// A complete handshake, computed from §5.4, RFC 7748 and RFC 8439 by an
// independent program in another language. The bytes of all secrets count
// upwards: 0 to 31 are the initiator's static key; the responder's, both
// ephemeral keys and the preshared key follow.
const (
	vectorInitiation = "010000000403020179a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51af0225eb421886af8" +
		"f54fb31289d49dcd82b0f6f3279d40d7cff913fece0c64ad226eef3320755b393b72f16842c8d7ee78a74e937e3f2a82" +
		"88f4ecc1497e7a82cd9af09985477636df84c362c968dd731803722deba90b3c38c0cc4b000000000000000000000000" +
		"00000000"
	vectorResponse = "020000000807060504030201675dd574ed7789310b3d2e7681f3790b466c773b1521fecf36577958371ea52fa89d3736" +
		"1ef7266427173427abbeccd08de9dcd35e9fe1c550045e5935509e679c325649077ce843bce19b61b4ae8b76"
	vectorFromInitiator = "f26d13be8f8fe7fe36805b47503285e73bcb2fc6fe3ef37834e5f6128ad8cf50"
	vectorFromResponder = "083bdab92ffb8da7ab5063bb2d96de2b7e09008d8e07bcf96ac25c340a778665"
)

func counted(from byte) (b [32]byte) {
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// A9, A3: the messages match the vector in all bytes except the MACs, which
// package cookie writes.
func TestVector(t *testing.T) {
	i, r, q := counted(0), counted(32), counted(128)
	ephemeralOfI, ephemeralOfR, psk := counted(64), counted(96), key.NewPreshared(&q)
	alice, bob := NewStatic(key.NewPrivate(&i)), NewStatic(key.NewPrivate(&r))

	stamp := wire.StampAt(time.Unix(1_700_000_000, 123_456_789))
	first, pending, err := CreateInitiation(nil, alice, NewRemote(bob.Public()), &ephemeralOfI, 0x01020304, stamp)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "initiation", first.AppendTo(nil), vectorInitiation, 2*wire.MACSize)

	_, st, err := ConsumeInitiationStatic(nil, bob, first)
	if err != nil {
		t.Fatal(err)
	}
	_, hs, err := st.Finish(nil, bob, NewRemote(alice.Public()))
	if err != nil {
		t.Fatal(err)
	}
	var aliceKeys, bobKeys Keys
	second, err := hs.CreateResponse(nil, &bobKeys, &ephemeralOfR, psk, 0x05060708)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "response", second.AppendTo(nil), vectorResponse, 2*wire.MACSize)
	compare(t, "responder's sending key", bobKeys.Send[:], vectorFromResponder, 0)
	compare(t, "responder's receiving key", bobKeys.Recv[:], vectorFromInitiator, 0)

	if err := pending.ConsumeResponse(nil, &aliceKeys, alice, psk, second); err != nil {
		t.Fatal(err)
	}
	compare(t, "initiator's sending key", aliceKeys.Send[:], vectorFromInitiator, 0)
	compare(t, "initiator's receiving key", aliceKeys.Recv[:], vectorFromResponder, 0)
}

// compare compares got with a vector, except for the last omit bytes.
func compare(t *testing.T, what string, got []byte, vector string, omit int) {
	t.Helper()
	if want := vector[:len(vector)-2*omit]; hex.EncodeToString(got[:len(got)-omit]) != want {
		t.Errorf("%s: got %x, want %s", what, got[:len(got)-omit], want)
	}
}
