// Package index maps receiver indices to sessions, with one writer and many
// readers that never wait (A14).
//
// A datagram names its receiver by 32 bits that this side drew at random when
// the handshake began. The table is a hash table: an array of chains, whose
// length is a power of two. Nodes are immutable once published, and the heads of
// the chains are atomic pointers, so a reader sees a chain either before or
// after a change. To grow, the writer builds a second array and publishes it as
// a whole; a reader still in the first one finds what that held when it began.
//
// The low bits of an index choose its chain. Our indices are random, so no
// attacker can make one chain long. The table also finds sessions by the index
// of the other end, to recognize a datagram of ours that came back. Peers choose
// those indices, and several peers may choose the same one.
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

// An Entry is what an index refers to. Keypair is nil until the handshake that
// owns the index has yielded one. An Entry is immutable.
type Entry struct {
	Peer    *peer.Peer
	Keypair *session.Keypair
}

// A Table holds all indices of one interface. Lookup and LookupRemote are safe for
// concurrent use; the other methods need one goroutine at a time.
type Table struct {
	chains atomic.Pointer[chains] // by our index
	taken  int

	remote   atomic.Pointer[chains] // sessions by Keypair.Remote
	sessions int
}

// chains is an array of chains; its length never changes.
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
	maxTries  = 1000 // draws of an index before the source of randomness counts as broken
)

// ErrExhausted is returned when many draws yielded no free index.
var ErrExhausted = errors.New("no free receiver index was drawn: the source of randomness repeats itself")

// New returns an empty table.
func New() *Table {
	t := &Table{}
	t.chains.Store(newChains(minChains))
	t.remote.Store(newChains(minChains))
	return t
}

// Lookup returns the entry of an index, or nil if the index is free. It takes
// no lock.
func (t *Table) Lookup(i uint32) *Entry {
	c := t.chains.Load()
	for n := c.head(i).Load(); n != nil; n = n.next {
		if n.index == i {
			return n.entry
		}
	}
	return nil
}

// LookupRemote returns the session on which we send data messages with that receiver
// index to that endpoint, or nil if there is none. It takes no lock.
func (t *Table) LookupRemote(remote uint32, to netip.AddrPort) *Entry {
	c := t.remote.Load()
	for n := c.head(remote).Load(); n != nil; n = n.next {
		if n.index == remote && n.entry.Peer.Reaches(to) {
			return n.entry
		}
	}
	return nil
}

// Reserve draws a free index from rand, sets its entry to e and returns it.
// Every 32-bit value is possible, including 0 (B43); if an index is taken,
// Reserve draws again (A14).
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

// Replace sets the entry of a reserved index to e. If the index is free, it does
// nothing.
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

// Release frees the index. If the index is free already, it does nothing.
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

// Len returns the number of indices taken.
func (t *Table) Len() int { return t.taken }

// fit grows or shrinks the array of chains in proportion to the number of
// entries, so that chains stay short.
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

// without returns the chain without an entry. It copies the nodes before the
// entry and shares those after it.
func without(n *node, i uint32, e *Entry) *node {
	if n == nil {
		return nil
	}
	if n.index == i && n.entry == e {
		return n.next
	}
	return &node{index: n.index, entry: n.entry, next: without(n.next, i, e)}
}
