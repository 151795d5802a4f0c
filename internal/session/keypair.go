package session

import (
	"wgd/internal/aead"
	"wgd/internal/clock"
)

// Keypair is one session.
type Keypair struct {
	Local, Remote uint32 // receiver indices: the one peers put in data for us, and theirs
	Initiator     bool   // whether our initiation began it
	Created       clock.Time
}

// A37 and A36.
const (
	RejectAfterMessages uint64 = 1<<64 - 1<<13 - 1
)

// New TODO contract: copies the keys; the caller zeroes its own.
func New(send, recv *[32]byte, local, remote uint32, initiator bool, created clock.Time) *Keypair {
	panic("contract")
}

// Usable: younger than RejectAfterTime (180 s) at now and not erased.
func (k *Keypair) Usable(now clock.Time) bool { panic("contract") }

// Sent: counters handed out so far.
func (k *Keypair) Sent() uint64 { panic("contract") }

// Reserve n consecutive counters.
func (k *Keypair) Reserve(n int) (first uint64, ok bool) { panic("contract") }

// Seal writes header and seals in place; packets take counters first, first+1, …
func (k *Keypair) Seal(buf []byte, packets []aead.Packet, first uint64) bool { panic("contract") }

// Open opens in place; failures get Len = 0.
func (k *Keypair) Open(buf []byte, packets []aead.Packet) (failed int) { panic("contract") }

// Accept marks counters (in buf's headers) in the window, under one lock; replays get Len = 0.
func (k *Keypair) Accept(buf []byte, packets []aead.Packet) (replays int) { panic("contract") }

// Erase zeroes the keys; waits for Seal and Open under way.
func (k *Keypair) Erase() { panic("contract") }
