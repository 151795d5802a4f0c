package noise

import (
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"testing"

	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// lowOrder returns the 7 encodings of points of order 8 or less, including those
// that are not reduced, and the same with bit 255 set, which X25519 ignores.
func lowOrder() (points [][32]byte) {
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000", // 0, order 4
		"0100000000000000000000000000000000000000000000000000000000000000", // 1, order 1
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", // order 8
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", // order 8
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p-1, order 2
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, which is 0
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, which is 1
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic(err)
		}
		point := [32]byte(b)
		points = append(points, point)
		point[31] |= 0x80
		points = append(points, point)
	}
	return points
}

// secrets are the results of Diffie-Hellman that a forger knows. The zero value
// is what points of low order yield without any private key.
type secrets struct{ es, ss, ee, se [32]byte }

// forge returns an initiation to r that authenticates if r computes x.
func forge(r *Remote, ephemeral [32]byte, static key.Public, x secrets) *wire.Initiation {
	msg := &wire.Initiation{Sender: 5, Ephemeral: ephemeral}
	t := transcript{chain: initialChain, hash: r.hash}
	var k [32]byte
	t.mixKey(&msg.Ephemeral)
	t.mixHash(msg.Ephemeral[:])
	t.mixKeyTo(&k, &x.es)
	t.seal(&k, msg.Static[:], static[:])
	t.mixKeyTo(&k, &x.ss)
	t.seal(&k, msg.Timestamp[:], stampOne[:])
	return msg
}

// forgeResponse returns a response that completes hs if hs computes x. It must be
// refused although the forger even knows the chaining key.
func forgeResponse(hs *Handshake, ephemeral [32]byte, x secrets) *wire.Response {
	msg := &wire.Response{Sender: 6, Receiver: hs.local, Ephemeral: ephemeral}
	t := hs.transcript
	var k [32]byte
	t.mixHash(msg.Ephemeral[:])
	t.mixKey(&msg.Ephemeral)
	t.mixKey(&x.ee)
	t.mixKey(&x.se)
	t.mixPreshared(&k, key.Preshared{})
	t.seal(&k, msg.Empty[:], nil)
	return msg
}

func dh(t *testing.T, private [32]byte, public [32]byte) (shared [32]byte) {
	t.Helper()
	e, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.ECDH(p)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(b)
}

// multiply computes the Diffie-Hellman of a static key and a point.
func multiply(shared *[32]byte, s *Static, point *[32]byte) error {
	var x Exchange
	x.ask(&s.scalar, point)
	x25519.Multiply(x.Products())
	product, err := x.result(0)
	if err == nil {
		*shared = *product
	}
	return err
}

func publicOf(private [32]byte) key.Public { return key.NewPrivate(&private).Public() }

// The forgeries below are refused only because of their points: with valid
// points, the messages of forge and forgeResponse are accepted.
func TestForgeriesAreOtherwiseValid(t *testing.T) {
	alice, bob := twoEnds()
	e, es := keyOf(40), keyOf(41)
	alicePrivate, bobPublic := [32]byte(alice.private.Bytes()), bob.static.Public()
	bob.consume(t, forge(alice.remote, publicOf(e), alice.static.Public(), secrets{
		es: dh(t, e, bobPublic), ss: dh(t, alicePrivate, bobPublic),
	}))
	_, pending := alice.initiate(t, 1)
	response := forgeResponse(pending, publicOf(es), secrets{
		ee: dh(t, es, publicOf(alice.ephemeral)), se: dh(t, es, alice.static.Public()),
	})
	if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, response); err != nil {
		t.Fatal(err)
	}
}

// A10, B41: an initiation with a low-order ephemeral key, which makes es zero, is
// refused.
func TestLowOrderEphemeralOfAnInitiation(t *testing.T) {
	for _, point := range lowOrder() {
		alice, bob := twoEnds()
		msg := forge(alice.remote, point, alice.static.Public(), secrets{})
		if _, _, err := ConsumeInitiationStatic(nil, bob.static, msg); !errors.Is(err, ErrLowOrder) {
			t.Errorf("%x: got %v, want ErrLowOrder", point, err)
		}
		complete(t, alice, bob, 1, key.Preshared{})
	}
}

// A10, B41: an initiation with a low-order static key, which makes ss zero, is
// refused. The test tries twice, because the first failure must not be cached.
func TestLowOrderStaticOfAnInitiation(t *testing.T) {
	e := keyOf(40)
	for _, point := range lowOrder() {
		alice, bob := twoEnds()
		low := NewRemote(point)
		msg := forge(alice.remote, publicOf(e), low.Public(), secrets{es: dh(t, e, bob.static.Public())})
		for range 2 {
			public, st, err := ConsumeInitiationStatic(nil, bob.static, msg)
			if err != nil || public != low.Public() {
				t.Fatalf("%x: the static key does not decrypt: %v", point, err)
			}
			if _, _, err := st.Finish(nil, bob.static, low); !errors.Is(err, ErrLowOrder) {
				t.Errorf("%x: got %v, want ErrLowOrder", point, err)
			}
		}
		complete(t, alice, bob, 1, key.Preshared{})
	}
}

// A10, B41: no response is created to low-order keys of the initiator, even if an
// initiation with them had been accepted.
func TestLowOrderKeysWhenWeRespond(t *testing.T) {
	for _, point := range lowOrder() {
		alice, bob := twoEnds()
		good := Handshake{role: responder, ephemeral: publicOf(keyOf(40)), peer: alice.static.Public()}
		for _, hs := range []Handshake{
			{role: responder, ephemeral: point, peer: good.peer},
			{role: responder, ephemeral: good.ephemeral, peer: point},
		} {
			var keys Keys
			msg, err := hs.CreateResponse(nil, &keys, &bob.ephemeral, key.Preshared{}, 1)
			if !errors.Is(err, ErrLowOrder) || msg != nil || keys != (Keys{}) {
				t.Errorf("%x: got %v, want ErrLowOrder", point, err)
			}
		}
		if _, err := good.CreateResponse(nil, new(Keys), &bob.ephemeral, key.Preshared{}, 1); err != nil {
			t.Fatal(err)
		}
		complete(t, alice, bob, 1, key.Preshared{})
	}
}

// A10, A13, B41: a response with a low-order ephemeral key, which makes ee and se
// zero, is refused; the genuine response still completes the handshake.
func TestLowOrderEphemeralOfAResponse(t *testing.T) {
	for _, point := range lowOrder() {
		alice, bob := twoEnds()
		first, pending := alice.initiate(t, 1)
		good := bob.answer(t, first, &bob.ephemeral)
		forged := forgeResponse(pending, point, secrets{})
		if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, forged); !errors.Is(err, ErrLowOrder) {
			t.Errorf("%x: got %v, want ErrLowOrder", point, err)
		}
		var shared [32]byte
		if err := multiply(&shared, alice.static, &point); !errors.Is(err, ErrLowOrder) { // se alone
			t.Errorf("%x: got %v, want ErrLowOrder", point, err)
		}
		if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, good); err != nil {
			t.Errorf("%x: the genuine response afterwards: %v", point, err)
		}
	}
}

// A11, A10: a peer with a low-order static key may be configured, but no
// initiation to it is created.
func TestNoInitiationToALowOrderPeer(t *testing.T) {
	for _, point := range lowOrder() {
		alice, bob := twoEnds()
		msg, hs, err := CreateInitiation(nil, alice.static, NewRemote(point), &alice.ephemeral, 1, stampOne)
		if !errors.Is(err, ErrLowOrder) || msg != nil || hs != nil {
			t.Errorf("%x: got %v, want ErrLowOrder", point, err)
		}
		complete(t, alice, bob, 1, key.Preshared{})
	}
}
