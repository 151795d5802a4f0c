package session

import "wgd/internal/aead"

// SetSent sets the counter, so that a test need not send 2^64 packets (B3).
func (k *Keypair) SetSent(n uint64) { k.sent.Store(n) }

// Ciphers returns the two ciphers, which hold the keys.
func (k *Keypair) Ciphers() []*aead.Key { return []*aead.Key{&k.send, &k.recv} }
