// Package session provides Keypair: the two transport keys that a handshake
// yields, their counters and the replay window (§5.4.5, §5.4.6).
package session
