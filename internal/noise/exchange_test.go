package noise

import (
	"errors"
	"testing"

	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// twice calls a step with an Exchange: it must first ask for that many products and
// return ErrUnfinished, and then complete.
func twice(t *testing.T, products int, step func(x *Exchange) error) {
	t.Helper()
	var x Exchange
	err := step(&x)
	if products > 0 {
		if err != ErrUnfinished || len(x.Products()) != products {
			t.Fatalf("at first: %v, %d products; want ErrUnfinished, %d", err, len(x.Products()), products)
		}
		x25519.Multiply(x.Products())
		err = step(&x)
	}
	if err != nil {
		t.Fatal(err)
	}
	if x != (Exchange{}) {
		t.Error("the step leaves something in the Exchange")
	}
}

// Steps whose products the caller computes make the same messages and keys as steps
// that compute them. The Diffie-Hellman of the static keys is asked for once.
func TestExchanges(t *testing.T) {
	alice, bob := twoEnds()
	for round := range 2 {
		first := 1 - round // products for the Diffie-Hellman of the static keys
		wanted, pending, err := CreateInitiation(nil, alice.static, NewRemote(bob.static.Public()), &alice.ephemeral, 1, stampOne)
		if err != nil {
			t.Fatal(err)
		}
		var msg *wire.Initiation
		var hs *Handshake
		twice(t, 2+first, func(x *Exchange) (err error) {
			msg, hs, err = CreateInitiation(x, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
			return err
		})
		if *msg != *wanted || *hs != *pending {
			t.Error("another initiation than of a step that computes its products")
		}
		var st *InitiationState
		twice(t, 1, func(x *Exchange) (err error) {
			_, st, err = ConsumeInitiationStatic(x, bob.static, msg)
			return err
		})
		var answer *Handshake
		twice(t, first, func(x *Exchange) (err error) {
			_, answer, err = st.Finish(x, bob.static, bob.remote)
			return err
		})
		var keys, sameKeys, others Keys
		same, err := answer.CreateResponse(nil, &sameKeys, &bob.ephemeral, key.Preshared{}, 2)
		if err != nil {
			t.Fatal(err)
		}
		var response *wire.Response
		twice(t, 3, func(x *Exchange) (err error) {
			response, err = answer.CreateResponse(x, &keys, &bob.ephemeral, key.Preshared{}, 2)
			return err
		})
		if *response != *same || keys != sameKeys {
			t.Error("another response than of a step that computes its products")
		}
		var x Exchange
		st.AskForResponse(&x, &bob.ephemeral)
		x25519.Multiply(x.Products())
		response, err = answer.CreateResponse(&x, &keys, &bob.ephemeral, key.Preshared{}, 2)
		if err != nil || *response != *same || keys != sameKeys || x != (Exchange{}) {
			t.Errorf("another response if its products are asked for before Finish: %v", err)
		}
		twice(t, 2, func(x *Exchange) error {
			return hs.ConsumeResponse(x, &others, alice.static, key.Preshared{}, response)
		})
		if others.Send != keys.Recv || others.Recv != keys.Send {
			t.Error("the ends have different keys")
		}
	}
}

// A10: a product of zero fails the step when it is called again. A step waits until its
// products are computed. A step whose Exchange has the products of another one fails.
func TestExchangeErrors(t *testing.T) {
	alice, bob := twoEnds()
	var x Exchange
	msg := wire.Initiation{Ephemeral: [32]byte{1}}
	if _, _, err := ConsumeInitiationStatic(&x, bob.static, &msg); err != ErrUnfinished {
		t.Fatal(err)
	}
	x25519.Multiply(x.Products())
	if _, _, err := ConsumeInitiationStatic(&x, bob.static, &msg); !errors.Is(err, ErrLowOrder) || x != (Exchange{}) {
		t.Errorf("a point of low order: %v", err)
	}
	if _, _, err := ConsumeInitiationStatic(&x, bob.static, &msg); err != ErrUnfinished {
		t.Fatal(err)
	}
	if _, _, err := ConsumeInitiationStatic(&x, bob.static, &msg); err != ErrUnfinished || len(x.Products()) != 1 {
		t.Errorf("a product that was not computed: %v", err)
	}
	x.Erase()
	if _, _, err := CreateInitiation(&x, alice.static, alice.remote, &alice.ephemeral, 1, stampOne); err != ErrUnfinished {
		t.Fatal(err)
	}
	x25519.Multiply(x.Products())
	before := x
	if _, _, err := ConsumeInitiationStatic(&x, bob.static, &msg); err != ErrWrongStep || x != before {
		t.Errorf("a step with the products of another one, which are more: %v", err)
	}
	if _, _, err := CreateInitiation(&x, alice.static, alice.remote, &alice.ephemeral, 1, stampOne); err != nil {
		t.Errorf("the step that has asked, afterwards: %v", err)
	}
}
