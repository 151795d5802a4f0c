package noise

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"wgd/internal/wire"
	"wgd/key"
)

// end is one of two that know each other.
type end struct {
	private   key.Private
	static    *Static
	remote    *Remote // the other end
	ephemeral [32]byte
}

var stampOne = wire.StampAt(time.Unix(1_700_000_000, 0))

// keyOf is 32 bytes that all differ with n.
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
	response, err := hs.CreateResponse(new(Keys), ephemeral, key.Preshared{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func (e *end) consume(t testing.TB, msg *wire.Initiation) *Handshake {
	t.Helper()
	public, st, err := ConsumeInitiationStatic(e.static, msg)
	if err != nil {
		t.Fatal(err)
	}
	if public != e.remote.Public() {
		t.Fatalf("initiation is by %v, want %v", public, e.remote.Public())
	}
	stamp, hs, err := st.Finish(e.static, e.remote)
	if err != nil {
		t.Fatal(err)
	}
	if stamp != stampOne {
		t.Fatalf("stamp %x, want %x", stamp, stampOne)
	}
	return hs
}

// initiate does the initiator's first step.
func (e *end) initiate(t testing.TB, index uint32) (*wire.Initiation, *Handshake) {
	t.Helper()
	msg, hs, err := CreateInitiation(e.static, e.remote, &e.ephemeral, index, stampOne)
	if err != nil {
		t.Fatal(err)
	}
	return msg, hs
}

// A9, B43: both ends come to the same keys, with any index and with or without
// a preshared key, through the bytes of the wire.
func TestHandshakeBetweenTwoEnds(t *testing.T) {
	secret := keyOf(9)
	psk := key.NewPreshared(&secret)
	for _, preshared := range []key.Preshared{{}, psk} {
		for _, index := range []uint32{0, 1, 1<<32 - 1} {
			alice, bob := twoEnds()
			complete(t, alice, bob, index, preshared)
			complete(t, alice, bob, index, preshared) // both static keys' agreement from memory
			complete(t, bob, alice, index, preshared) // and the other way round
		}
	}
}

// complete does one handshake over the wire and checks the keys.
func complete(t *testing.T, alice, bob *end, index uint32, psk key.Preshared) {
	t.Helper()
	first, pending := alice.initiate(t, index)
	received, ok := wire.DecodeInitiation(first.AppendTo(nil))
	if !ok {
		t.Fatal("our initiation does not decode")
	}
	hs := bob.consume(t, &received)
	var aliceKeys, bobKeys Keys
	second, err := hs.CreateResponse(&bobKeys, &bob.ephemeral, psk, ^index)
	if err != nil {
		t.Fatal(err)
	}
	response, ok := wire.DecodeResponse(second.AppendTo(nil))
	if !ok {
		t.Fatal("our response does not decode")
	}
	if err := pending.ConsumeResponse(&aliceKeys, alice.static, psk, &response); err != nil {
		t.Fatal(err)
	}
	if aliceKeys.Send != bobKeys.Recv || aliceKeys.Recv != bobKeys.Send {
		t.Fatal("both ends have different keys")
	}
	if aliceKeys.Send == aliceKeys.Recv || aliceKeys.Send == [32]byte{} || aliceKeys.Recv == [32]byte{} {
		t.Fatal("a key is zero, or both directions have the same")
	}
	if aliceKeys.Erase(); aliceKeys != (Keys{}) {
		t.Fatal("Erase left a key (A35)")
	}
	if response.Receiver != index || response.Sender != ^index || pending.local != index || hs.remote != index {
		t.Fatal("indices are mixed up")
	}
	if pending.peer != bob.static.Public() || hs.peer != alice.static.Public() {
		t.Fatal("peers are mixed up")
	}
}

// A9: one zero preshared key is the absent one; any other must be on both ends.
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
		response, err := bob.consume(t, first).CreateResponse(new(Keys), &bob.ephemeral, c.theirs, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := pending.ConsumeResponse(new(Keys), alice.static, c.ours, response); (err == nil) != c.good {
			t.Errorf("ours %x, theirs %x: %v", c.ours.Bytes(), c.theirs.Bytes(), err)
		}
	}
}

// A5: any changed bit under the AEADs or in a key is found, that one of the
// ephemeral keys too which X25519 ignores: every fifth bit meets it.
func TestEveryBitOfTheHandshakeIsAuthenticated(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	good := first.AppendTo(nil)
	for bit := 8 * 8; bit < 8*(wire.InitiationSize-2*wire.MACSize); bit += 5 {
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		msg, _ := wire.DecodeInitiation(bad)
		_, st, err := ConsumeInitiationStatic(bob.static, &msg)
		if err == nil {
			_, _, err = st.Finish(bob.static, bob.remote)
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
		if err := pending.ConsumeResponse(new(Keys), alice.static, key.Preshared{}, &msg); err == nil {
			t.Errorf("response with bit %d of byte %d changed was accepted", bit%8, bit/8)
		}
	}
}

// A13, B28: a bad response leaves the pending handshake as it was, and the
// true one completes it afterwards.
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
		if err := pending.ConsumeResponse(new(Keys), alice.static, key.Preshared{}, &bad[i]); err == nil {
			t.Fatalf("bad response %d was accepted", i)
		}
		if *pending != before {
			t.Fatalf("bad response %d changed the pending handshake", i)
		}
	}
	if err := pending.ConsumeResponse(new(Keys), alice.static, key.Preshared{}, good); err != nil {
		t.Fatalf("the true response after bad ones: %v", err)
	}
}

// A12: what was decrypted for one peer is not finished as another's.
func TestFinishRefusesAnotherPeer(t *testing.T) {
	alice, bob := twoEnds()
	first, _ := alice.initiate(t, 1)
	_, st, err := ConsumeInitiationStatic(bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := st.Finish(bob.static, NewRemote(newEnd(3).static.Public())); !errors.Is(err, ErrWrongPeer) {
		t.Fatalf("got %v", err)
	}
	if _, _, err := st.Finish(bob.static, bob.remote); err != nil {
		t.Fatalf("the right peer afterwards: %v", err)
	}
}

// A10: who knows a peer's public key cannot speak for it: without the static
// private key the stamp does not authenticate.
func TestClaimingAnothersStaticKey(t *testing.T) {
	alice, bob := twoEnds()
	mallory := newEnd(3)
	mallory.static.public = alice.static.public
	msg, _, err := CreateInitiation(mallory.static, alice.remote, &mallory.ephemeral, 1, stampOne)
	if err != nil {
		t.Fatal(err)
	}
	public, st, err := ConsumeInitiationStatic(bob.static, msg)
	if err != nil || public != alice.static.Public() {
		t.Fatalf("the claim itself must decrypt: %v, %v", public, err)
	}
	if _, _, err := st.Finish(bob.static, bob.remote); !errors.Is(err, ErrDecrypt) {
		t.Fatalf("got %v", err)
	}
}

// Each step refuses what is not at that step.
func TestStepsInTheWrongOrder(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	hs := bob.consume(t, first)
	response := bob.answer(t, first, &bob.ephemeral)
	_, st, err := ConsumeInitiationStatic(bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pending.CreateResponse(new(Keys), &alice.ephemeral, key.Preshared{}, 1); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiator's CreateResponse: %v", err)
	}
	if err := hs.ConsumeResponse(new(Keys), bob.static, key.Preshared{}, response); !errors.Is(err, ErrWrongStep) {
		t.Errorf("responder's ConsumeResponse: %v", err)
	}
	st.Erase()
	pending.Erase()
	hs.Erase()
	if _, _, err := st.Finish(bob.static, bob.remote); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased Finish: %v", err)
	}
	if err := pending.ConsumeResponse(new(Keys), alice.static, key.Preshared{}, response); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased ConsumeResponse: %v", err)
	}
	if _, err := hs.CreateResponse(new(Keys), &bob.ephemeral, key.Preshared{}, 1); !errors.Is(err, ErrWrongStep) {
		t.Errorf("erased CreateResponse: %v", err)
	}
}

// A35: an erased identity makes and takes nothing, and leaves no secret.
func TestErase(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	bob.answer(t, first, &bob.ephemeral)
	for _, r := range []*Remote{alice.remote, bob.remote} {
		if r.state.Load() != stateKnown {
			t.Fatal("the agreement of both static keys was not kept")
		}
		r.Erase()
		for i := range r.shared {
			if r.shared[i].Load() != 0 {
				t.Fatal("Erase left the agreement of both static keys")
			}
		}
	}
	if _, _, err := CreateInitiation(alice.static, alice.remote, &alice.ephemeral, 1, stampOne); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to an erased Remote: %v", err)
	}
	if _, st, err := ConsumeInitiationStatic(bob.static, first); err != nil {
		t.Fatal(err)
	} else if _, _, err := st.Finish(bob.static, bob.remote); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation by an erased Remote: %v", err)
	}
	bob.static.Erase()
	if bob.static.scalar != nil {
		t.Error("Erase left the private key")
	}
	if _, _, err := ConsumeInitiationStatic(bob.static, first); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to an erased Static: %v", err)
	}
	pending.Erase()
	if *pending != (Handshake{}) {
		t.Error("Erase left something of the handshake")
	}
}

// Nobody's private key is zero: clamping would make one of it that all know.
func TestZeroKey(t *testing.T) {
	zero := NewStatic(key.Private{})
	alice, bob := twoEnds()
	if _, _, err := CreateInitiation(zero, NewRemote(bob.static.Public()), &alice.ephemeral, 1, stampOne); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation by zero: %v", err)
	}
	first, _ := alice.initiate(t, 1)
	if _, _, err := ConsumeInitiationStatic(zero, first); !errors.Is(err, ErrWrongStep) {
		t.Errorf("initiation to zero: %v", err)
	}
}

// 10,000 idle peers share 15 MB; this is the handshake's part.
func TestRemoteIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Remote{}); n > 128 {
		t.Errorf("a Remote is %d bytes", n)
	}
	if n := unsafe.Sizeof(Handshake{}); n > 192 {
		t.Errorf("a Handshake is %d bytes", n)
	}
}

// No way of printing shows a secret.
func TestPrintingHidesEverything(t *testing.T) {
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	_, st, err := ConsumeInitiationStatic(bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{alice.static, alice.remote, pending, st, *alice.static, *pending, *st} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); strings.TrimLeft(got, "&") != "(hidden)" {
				t.Errorf("%T prints as %s with %s", v, got, verb)
			}
		}
	}
}
