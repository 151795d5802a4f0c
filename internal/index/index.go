// Package index maps receiver indices to sessions: one writer, many readers
// that never wait (A14).
//
// A datagram names its receiver by 32 bits that this side drew at random when
// the handshake began. The table behind it is an array of chains, a power of
// two long. Nodes are immutable once published and chains hang on atomic
// pointers, so a reader sees a chain as it was before a change or after it,
// never between. Growing builds a second array and publishes it whole; readers
// that still walk the first one find what was there when they began.
//
// Our indices are random, so their low bits choose the chain: nobody outside
// can make one chain long. The sessions are found by the index of the other end,
// too, by which a datagram that we have sent is known when it comes back. Peers
// choose those indices, and several may choose the same.
package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"

	"wgd/internal/peer"
	"wgd/internal/session"
)

// Entry is what an index stands for. Keypair is nil while the index belongs to
// a handshake that has none yet. Immutable.
type Entry struct {
	Peer    *peer.Peer
	Keypair *session.Keypair
}

// Table of all indices of one interface. Lookup may be called by anyone at any
// time; the methods that write, and Len, by one goroutine at a time.
type Table struct {
	chains atomic.Pointer[chains] // by our index
	taken  int

	remote   atomic.Pointer[chains] // the sessions, by Keypair.Remote
	sessions int
}

// chains is one array; its length never changes.
type chains struct {
	mask  uint32
	heads []atomic.Pointer[node]
}

type node struct {
	index uint32
	entry *Entry
	next  *node
}

const (
	minChains = 64
	maxTries  = 1000 // draws of an index before the source of randomness is called broken
)

// ErrExhausted says that no free index was drawn in many tries.
var ErrExhausted = errors.New("no free receiver index was drawn: the source of randomness repeats itself")

// New returns an empty table.
func New() *Table {
	t := &Table{}
	t.chains.Store(newChains(minChains))
	t.remote.Store(newChains(minChains))
	return t
}

// Lookup is lock-free; nil when the index is not taken.
func (t *Table) Lookup(i uint32) *Entry {
	c := t.chains.Load()
	for n := c.head(i).Load(); n != nil; n = n.next {
		if n.index == i {
			return n.entry
		}
	}
	return nil
}

// Sent is the session on which we send data messages that name that index to that
// endpoint; nil when there is none. It is lock-free.
func (t *Table) Sent(remote uint32, to netip.AddrPort) *Entry {
	c := t.remote.Load()
	for n := c.head(remote).Load(); n != nil; n = n.next {
		if n.index == remote && n.entry.Peer.Reaches(to) {
			return n.entry
		}
	}
	return nil
}

// Reserve takes a free index drawn from rand and puts e there. Every 32-bit
// value may come out, 0 too (B43); one that is taken is drawn again (A14).
func (t *Table) Reserve(rand io.Reader, e *Entry) (uint32, error) {
	var b [4]byte
	for range maxTries {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, fmt.Errorf("draw a receiver index: %w", err)
		}
		i := binary.LittleEndian.Uint32(b[:])
		if t.Lookup(i) != nil {
			continue
		}
		t.taken++
		fit(&t.chains, t.taken)
		t.chains.Load().add(i, e)
		t.addSession(e)
		return i, nil
	}
	return 0, ErrExhausted
}

// Replace puts e in the place of what a reserved index stands for. On an index
// that is not taken it does nothing.
func (t *Table) Replace(i uint32, e *Entry) {
	old := t.Lookup(i)
	if old == nil {
		return
	}
	t.dropSession(old)
	head := t.chains.Load().head(i)
	head.Store(&node{index: i, entry: e, next: without(head.Load(), i, old)})
	t.addSession(e)
}

// Release frees the index; one that is not taken stays so.
func (t *Table) Release(i uint32) {
	old := t.Lookup(i)
	if old == nil {
		return
	}
	t.dropSession(old)
	t.chains.Load().remove(i, old)
	t.taken--
	fit(&t.chains, t.taken)
}

func (t *Table) addSession(e *Entry) {
	if e == nil || e.Keypair == nil {
		return
	}
	t.sessions++
	fit(&t.remote, t.sessions)
	t.remote.Load().add(e.Keypair.Remote, e)
}

func (t *Table) dropSession(e *Entry) {
	if e == nil || e.Keypair == nil {
		return
	}
	t.remote.Load().remove(e.Keypair.Remote, e)
	t.sessions--
	fit(&t.remote, t.sessions)
}

// Len is the number of indices taken.
func (t *Table) Len() int { return t.taken }

// fit keeps the chains short, and the array in proportion to what is taken.
func fit(in *atomic.Pointer[chains], taken int) {
	old := in.Load()
	size := len(old.heads)
	switch {
	case taken > size:
		size *= 2
	case taken < size/8 && size > minChains:
		size /= 2
	default:
		return
	}
	c := newChains(size)
	for j := range old.heads {
		for n := old.heads[j].Load(); n != nil; n = n.next {
			c.add(n.index, n.entry)
		}
	}
	in.Store(c)
}

func newChains(size int) *chains {
	return &chains{mask: uint32(size - 1), heads: make([]atomic.Pointer[node], size)}
}

func (c *chains) head(i uint32) *atomic.Pointer[node] { return &c.heads[i&c.mask] }

func (c *chains) add(i uint32, e *Entry) {
	head := c.head(i)
	head.Store(&node{index: i, entry: e, next: head.Load()})
}

func (c *chains) remove(i uint32, e *Entry) {
	head := c.head(i)
	head.Store(without(head.Load(), i, e))
}

// without copies the part of a chain before the entry and shares the part behind
// it.
func without(n *node, i uint32, e *Entry) *node {
	if n == nil {
		return nil
	}
	if n.index == i && n.entry == e {
		return n.next
	}
	return &node{index: n.index, entry: n.entry, next: without(n.next, i, e)}
}
