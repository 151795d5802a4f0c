package noise

import (
	"testing"

	"wgd/key"
)

// BenchmarkHandshakeInitiator is all that one handshake costs the initiator:
// initiation and response, the static keys' agreement known.
func BenchmarkHandshakeInitiator(b *testing.B) {
	alice, bob := twoEnds()
	var other [32]byte
	for b.Loop() {
		msg, hs, err := CreateInitiation(alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		response := bob.answer(b, msg, &other)
		b.StartTimer()
		if err := hs.ConsumeResponse(new(Keys), alice.static, key.Preshared{}, response); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshakeResponder is the same for the responder.
func BenchmarkHandshakeResponder(b *testing.B) {
	alice, bob := twoEnds()
	msg, _, err := CreateInitiation(alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		bob.answer(b, msg, &bob.ephemeral)
	}
}

// BenchmarkUnknownSender is what a sender with a valid mac1 makes us spend
// before we know that we do not know him.
func BenchmarkUnknownSender(b *testing.B) {
	alice, bob := twoEnds()
	msg, _, err := CreateInitiation(alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := ConsumeInitiationStatic(bob.static, msg); err != nil {
			b.Fatal(err)
		}
	}
}
