// Package noise is the handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (§5.4,
// A9) as pure steps: time and random bytes are arguments, and nothing is kept
// but what is returned. (A Remote remembers one result, that two static keys
// always have; who computes it first makes no difference.)
//
// The steps are cut where a caller wants to cut its work into jobs, between
// Diffie-Hellman operations and decisions:
//
//	initiator                       responder
//	CreateInitiation  ──────────▶   ConsumeInitiationStatic   who is it?
//	                                Finish                    and when did they say so?
//	ConsumeResponse   ◀──────────   CreateResponse
//
// An error of any step means: drop the message in silence (A5). No step
// changes what it was given, so a forged message costs a pending handshake
// nothing (A13).
//
// The mac1 and mac2 fields of messages are package cookie's.
package noise
