// Package noise implements the handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s
// (§5.4, A9) as pure steps: time and random bytes are arguments, and the result
// is the only state. (A Remote also caches the Diffie-Hellman of the two static
// keys, which is always the same.)
//
// A caller can run the steps as separate jobs and decide between them:
//
//	initiator                       responder
//	CreateInitiation  ──────────▶   ConsumeInitiationStatic   who is the initiator?
//	                                Finish                    is it authentic, and what is its stamp?
//	ConsumeResponse   ◀──────────   CreateResponse
//
// If a step returns an error, the caller must drop the message silently (A5).
// No step changes its input, so a forged message does not harm a pending
// handshake (A13).
//
// Package cookie writes and checks the mac1 and mac2 fields of messages.
package noise
