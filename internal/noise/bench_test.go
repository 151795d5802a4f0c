package noise

import (
	"testing"

	"wgd/key"
)

// BenchmarkHandshakeInitiator measures a handshake of the initiator: creating the
// initiation and consuming the response, with the static Diffie-Hellman cached.
func BenchmarkHandshakeInitiator(b *testing.B) {
	alice, bob := twoEnds()
	var other [32]byte
	for b.Loop() {
		msg, hs, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		response := bob.answer(b, msg, &other)
		b.StartTimer()
		if err := hs.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, response); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshakeResponder measures the same for the responder.
func BenchmarkHandshakeResponder(b *testing.B) {
	alice, bob := twoEnds()
	msg, _, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		bob.answer(b, msg, &bob.ephemeral)
	}
}

// BenchmarkUnknownSender measures what an initiation with a valid mac1 costs
// before its sender turns out to be unknown.
func BenchmarkUnknownSender(b *testing.B) {
	alice, bob := twoEnds()
	msg, _, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := ConsumeInitiationStatic(nil, bob.static, msg); err != nil {
			b.Fatal(err)
		}
	}
}
