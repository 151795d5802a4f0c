// Package index maps receiver indices to sessions: one writer, many readers
// that never wait (A14).
package index

import (
	"io"

	"wgd/internal/peer"
	"wgd/internal/session"
)

// Entry is what an index stands for. Keypair is nil while the index belongs to
// a handshake that has none yet. Immutable.
type Entry struct {
	Peer    *peer.Peer
	Keypair *session.Keypair
}

// Table of all indices of one interface.
type Table struct{}

// New empty table.
func New() *Table { panic("contract") }

// Lookup is lock-free; nil when the index is not taken.
func (t *Table) Lookup(i uint32) *Entry { panic("contract") }

// Reserve takes a free index drawn from rand and puts e there.
func (t *Table) Reserve(rand io.Reader, e *Entry) (uint32, error) { panic("contract") }

// Replace the entry of a reserved index.
func (t *Table) Replace(i uint32, e *Entry) { panic("contract") }

// Release frees the index.
func (t *Table) Release(i uint32) { panic("contract") }

// Len is the number of indices taken.
func (t *Table) Len() int { panic("contract") }
