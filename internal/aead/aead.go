// Package aead is ChaCha20-Poly1305 (RFC 8439) over a batch of packets.
package aead

// Packet is a transport message at buf[Off:Off+Len]: 16 bytes of header,
// ciphertext or plaintext, 16 bytes of tag. Len 0: there is none (any more).
type Packet struct{ Off, Len int32 }
