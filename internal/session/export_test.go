package session

import "wgd/internal/aead"

// SetSent sets the counter, so that a test need not send 2^64 packets (B3).
func (k *Keypair) SetSent(n uint64) { k.sent.Store(n) }

// Ciphers returns the two ciphers, which hold the keys.
func (k *Keypair) Ciphers() []*aead.Key { return []*aead.Key{&k.send, &k.recv} }

// Hold keeps Erase waiting until release is called, as a batch in progress does.
func (k *Keypair) Hold() (release func()) {
	k.keys.RLock()
	return k.keys.RUnlock
}

// Erasing reports whether an Erase waits or is in progress.
func (k *Keypair) Erasing() bool {
	if !k.keys.TryRLock() {
		return true
	}
	k.keys.RUnlock()
	return false
}
