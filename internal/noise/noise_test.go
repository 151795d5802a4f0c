package noise

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// end is one of two ends that have each other as peer.
type end struct {
	private   key.Private
	static    *Static
	remote    *Remote // the other end
	ephemeral [32]byte
}

var stampOne = wire.StampAt(time.Unix(1_700_000_000, 0))

// keyOf returns 32 bytes, each of which depends on n.
func keyOf(n byte) (b [32]byte) {
	for i := range b {
		b[i] = n*31 + byte(i)*7 + 1
	}
	return b
}

func newEnd(n byte) *end {
	b := keyOf(n)
	e := &end{private: key.NewPrivate(&b), ephemeral: keyOf(n + 100)}
	e.static = NewStatic(e.private)
	return e
}

func twoEnds() (alice, bob *end) {
	alice, bob = newEnd(1), newEnd(2)
	alice.remote = NewRemote(bob.static.Public())
	bob.remote = NewRemote(alice.static.Public())
	return alice, bob
}

// answer does the responder's three steps.
func (e *end) answer(t testing.TB, msg *wire.Initiation, ephemeral *[32]byte) *wire.Response {
	t.Helper()
	hs := e.consume(t, msg)
	response, err := hs.CreateResponse(nil, new(Keys), ephemeral, key.Preshared{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func (e *end) consume(t testing.TB, msg *wire.Initiation) *Handshake {
	t.Helper()
	public, st, err := ConsumeInitiationStatic(nil, e.static, msg)
	if err != nil {
		t.Fatal(err)
	}
	if public != e.remote.Public() {
		t.Fatalf("the initiation is from %v, want %v", public, e.remote.Public())
	}
	stamp, hs, err := st.Finish(nil, e.static, e.remote)
	if err != nil {
		t.Fatal(err)
	}
	if stamp != stampOne {
		t.Fatalf("got stamp %x, want %x", stamp, stampOne)
	}
	return hs
}

// initiate does the initiator's first step.
func (e *end) initiate(t testing.TB, index uint32) (*wire.Initiation, *Handshake) {
	t.Helper()
	msg, hs, err := CreateInitiation(nil, e.static, e.remote, &e.ephemeral, index, stampOne)
	if err != nil {
		t.Fatal(err)
	}
	return msg, hs
}

// A9, B43: both ends derive the same keys from encoded messages, with any index,
// with and without a preshared key.
func TestHandshakeBetweenTwoEnds(t *testing.T) {
	secret := keyOf(9)
	psk := key.NewPreshared(&secret)
	for _, preshared := range []key.Preshared{{}, psk} {
		for _, index := range []uint32{0, 1, 1<<32 - 1} {
			alice, bob := twoEnds()
			complete(t, alice, bob, index, preshared)
			complete(t, alice, bob, index, preshared) // with the static Diffie-Hellman cached
			complete(t, bob, alice, index, preshared) // in the other direction
		}
	}
}

// complete does one handshake with encoded messages and checks the keys.
func complete(t *testing.T, alice, bob *end, index uint32, psk key.Preshared) {
	t.Helper()
	first, pending := alice.initiate(t, index)
	received, ok := wire.DecodeInitiation(first.AppendTo(nil))
	if !ok {
		t.Fatal("our initiation does not decode")
	}
	hs := bob.consume(t, &received)
	var aliceKeys, bobKeys Keys
	second, err := hs.CreateResponse(nil, &bobKeys, &bob.ephemeral, psk, ^index)
	if err != nil {
		t.Fatal(err)
	}
	response, ok := wire.DecodeResponse(second.AppendTo(nil))
	if !ok {
		t.Fatal("our response does not decode")
	}
	if err := pending.ConsumeResponse(nil, &aliceKeys, alice.static, psk, &response); err != nil {
		t.Fatal(err)
	}
	if aliceKeys.Send != bobKeys.Recv || aliceKeys.Recv != bobKeys.Send {
		t.Fatal("the two ends have different keys")
	}
	if aliceKeys.Send == aliceKeys.Recv || aliceKeys.Send == [32]byte{} || aliceKeys.Recv == [32]byte{} {
		t.Fatal("a key is zero, or both directions use the same key")
	}
	if aliceKeys.Erase(); aliceKeys != (Keys{}) {
		t.Fatal("Erase left a key (A35)")
	}
	if response.Receiver != index || response.Sender != ^index || pending.local != index || hs.remote != index {
		t.Fatal("an index is wrong")
	}
	if pending.peer != bob.static.Public() || hs.peer != alice.static.Public() {
		t.Fatal("a peer's key is wrong")
	}
}

// A9: the zero preshared key means none; any other key must be the same at both
// ends.
func TestPresharedKeyMatters(t *testing.T) {
	a, b := keyOf(8), keyOf(9)
	one, two := key.NewPreshared(&a), key.NewPreshared(&b)
	for _, c := range []struct {
		ours, theirs key.Preshared
		good         bool
	}{
		{key.Preshared{}, key.NewPreshared(&[32]byte{}), true}, {one, one, true},
		{key.Preshared{}, one, false}, {one, key.Preshared{}, false}, {one, two, false},
	} {
		alice, bob := twoEnds()
		first, pending := alice.initiate(t, 1)
		response, err := bob.consume(t, first).CreateResponse(nil, new(Keys), &bob.ephemeral, c.theirs, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := pending.ConsumeResponse(nil, new(Keys), alice.static, c.ours, response); (err == nil) != c.good {
			t.Errorf("ours %x, theirs %x: got error %v, want success: %v", c.ours.Bytes(), c.theirs.Bytes(), err, c.good)
		}
	}
}

// A5: a change of any bit in a key or an encrypted field is detected, including
// the bit of ephemeral keys that X25519 ignores, which is among every fifth bit.
func TestEveryBitOfTheHandshakeIsAuthenticated(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	good := first.AppendTo(nil)
	for bit := 8 * 8; bit < 8*(wire.InitiationSize-2*wire.MACSize); bit += 5 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		msg, _ := wire.DecodeInitiation(bad)
		_, st, err := ConsumeInitiationStatic(nil, bob.static, &msg)
		if err == nil {
			_, _, err = st.Finish(nil, bob.static, bob.remote)
		}
		if err == nil {
			t.Errorf("initiation with bit %d of byte %d changed was accepted", bit%8, bit/8)
		}
	}
	good = bob.answer(t, first, &bob.ephemeral).AppendTo(nil)
	for bit := 8 * 8; bit < 8*(wire.ResponseSize-2*wire.MACSize); bit += 5 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		msg, _ := wire.DecodeResponse(bad)
		if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, &msg); err == nil {
			t.Errorf("response with bit %d of byte %d changed was accepted", bit%8, bit/8)
		}
	}
}

// A13, B28: a bad response does not change the pending handshake, and the genuine
// response completes it afterwards.
func TestBadResponseLeavesThePendingHandshake(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 7)
	good := bob.answer(t, first, &bob.ephemeral)
	before := *pending
	bad := []wire.Response{{}, {Receiver: 7}, *good, *good, *good, *good}
	bad[2].Empty[0] ^= 1
	bad[3].Ephemeral[0] ^= 1
	bad[4].Ephemeral = [32]byte{}
	bad[5].Receiver++
	for i := range bad {
		if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, &bad[i]); err == nil {
			t.Fatalf("bad response %d was accepted", i)
		}
		if *pending != before {
			t.Fatalf("bad response %d changed the pending handshake", i)
		}
	}
	if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, good); err != nil {
		t.Fatalf("the genuine response after bad ones: %v", err)
	}
}

// A12: Finish refuses a Remote with another key than the initiation contained.
func TestFinishRefusesAnotherPeer(t *testing.T) {
	alice, bob := twoEnds()
	first, _ := alice.initiate(t, 1)
	_, st, err := ConsumeInitiationStatic(nil, bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := st.Finish(nil, bob.static, NewRemote(newEnd(3).static.Public())); !errors.Is(err, ErrWrongPeer) {
		t.Fatalf("got %v, want ErrWrongPeer", err)
	}
	if _, _, err := st.Finish(nil, bob.static, bob.remote); err != nil {
		t.Fatalf("the right peer afterwards: %v", err)
	}
}

// A10: knowing a peer's public key is not enough to impersonate the peer: without
// the static private key, the stamp does not authenticate.
func TestClaimingAnothersStaticKey(t *testing.T) {
	alice, bob := twoEnds()
	mallory := newEnd(3)
	mallory.static.public = alice.static.public
	msg, _, err := CreateInitiation(nil, mallory.static, alice.remote, &mallory.ephemeral, 1, stampOne)
	if err != nil {
		t.Fatal(err)
	}
	public, st, err := ConsumeInitiationStatic(nil, bob.static, msg)
	if err != nil || public != alice.static.Public() {
		t.Fatalf("the static key does not decrypt: %v, %v", public, err)
	}
	if _, _, err := st.Finish(nil, bob.static, bob.remote); !errors.Is(err, ErrDecrypt) {
		t.Fatalf("got %v, want ErrDecrypt", err)
	}
}

// Each step refuses a handshake that is at another step, or erased.
func TestStepsInTheWrongOrder(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	hs := bob.consume(t, first)
	response := bob.answer(t, first, &bob.ephemeral)
	_, st, err := ConsumeInitiationStatic(nil, bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pending.CreateResponse(nil, new(Keys), &alice.ephemeral, key.Preshared{}, 1); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiator's CreateResponse: %v", err)
	}
	if err := hs.ConsumeResponse(nil, new(Keys), bob.static, key.Preshared{}, response); !errors.Is(err, ErrWrongStep) {
		t.Errorf("responder's ConsumeResponse: %v", err)
	}
	st.Erase()
	pending.Erase()
	hs.Erase()
	if _, _, err := st.Finish(nil, bob.static, bob.remote); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased Finish: %v", err)
	}
	if err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, response); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased ConsumeResponse: %v", err)
	}
	if _, err := hs.CreateResponse(nil, new(Keys), &bob.ephemeral, key.Preshared{}, 1); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased CreateResponse: %v", err)
	}
}

// A35: with an erased identity, every step fails, and no secret is left.
func TestErase(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	bob.answer(t, first, &bob.ephemeral)
	for _, r := range []*Remote{alice.remote, bob.remote} {
		if r.state.Load() != stateKnown {
			t.Fatal("the static Diffie-Hellman was not cached")
		}
		r.Erase()
		for i := range r.shared {
			if r.shared[i].Load() != 0 {
				t.Fatal("Erase left the static Diffie-Hellman")
			}
		}
	}
	if _, _, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to an erased Remote: %v", err)
	}
	if _, st, err := ConsumeInitiationStatic(nil, bob.static, first); err != nil {
		t.Fatal(err)
	} else if _, _, err := st.Finish(nil, bob.static, bob.remote); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation by an erased Remote: %v", err)
	}
	bob.static.Erase()
	if bob.static.live || bob.static.scalar != (x25519.Scalar{}) {
		t.Error("Erase left the private key")
	}
	if _, _, err := ConsumeInitiationStatic(nil, bob.static, first); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to an erased Static: %v", err)
	}
	pending.Erase()
	if *pending != (Handshake{}) {
		t.Error("Erase left part of the handshake")
	}
}

// The zero private key is refused: clamping would turn it into a key that is
// publicly known.
func TestZeroKey(t *testing.T) {
	zero := NewStatic(key.Private{})
	alice, bob := twoEnds()
	if _, _, err := CreateInitiation(nil, zero, NewRemote(bob.static.Public()), &alice.ephemeral, 1, stampOne); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation by the zero key: got %v, want ErrWrongStep", err)
	}
	first, _ := alice.initiate(t, 1)
	if _, _, err := ConsumeInitiationStatic(nil, zero, first); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to the zero key: got %v, want ErrWrongStep", err)
	}
}

// 10,000 idle peers must fit in 15 MB; this is the part of this package.
func TestRemoteIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Remote{}); n > 128 {
		t.Errorf("a Remote takes %d bytes, want at most 128", n)
	}
	if n := unsafe.Sizeof(Handshake{}); n > 192 {
		t.Errorf("a Handshake takes %d bytes, want at most 192", n)
	}
}

// No format verb prints a secret.
func TestPrintingHidesEverything(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	_, st, err := ConsumeInitiationStatic(nil, bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	var x Exchange
	st.AskForResponse(&x, &bob.ephemeral)
	for _, v := range []any{alice.static, alice.remote, pending, st, &x, &x.ephemeral, *alice.static, *pending, *st, x, x.ephemeral} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); strings.TrimLeft(got, "&") != "(hidden)" {
				t.Errorf("%T prints as %s with %s", v, got, verb)
			}
		}
	}
}
