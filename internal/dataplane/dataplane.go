package dataplane

import (
	"sync/atomic"

	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
)

// TUN is the interface's other side.
type TUN interface {
	// Write delivers one packet or super-packet, given in pieces as package
	// packet describes. It does not keep them.
	Write(pieces [][]byte) error
}

// UDP is the way to the sockets.
type UDP interface {
	// Send sends one train of equally long datagrams, the last maybe shorter.
	// It may be longer than one system call takes; Send splits it. It does not
	// keep it. batch.ErrSourceGone says that the source address of b.Remote is
	// gone and must be forgotten (A52); batch.Sent, whether all was sent.
	Send(b *batch.Batch) error
}

// Notes is how the data plane tells core about a peer. Posting must not block;
// the same note may come with every batch until core has acted on it.
type Notes interface {
	Want(*peer.Peer)                      // a new session is wanted; core decides when
	Confirm(*peer.Peer, *session.Keypair) // first data on the responder's next session (A33)
	Wake(*peer.Peer)                      // a deadline earlier than the peer's NextLook appeared
	Route(*peer.Peer)                     // the route to the peer is needed, see peer.NeedsRoute
}

// Shared is what all Encapsulators and Decapsulators of one interface use.
// Whoever makes it fills in all of it before the first of them runs.
type Shared struct {
	Notes    Notes
	Offloads func() packet.Offloads // what the interface takes joined at present; nil: nothing

	Routes *atomic.Pointer[allowedips.Table[*peer.Peer]] // published by core
	Index  *index.Table
	Drops  *Drops

	Counters *Counters

	// Buffer returns n bytes that are a SealJob's as long as it is reachable; nil:
	// they come from Go's heap.
	Buffer func(owner *SealJob, n int) []byte

	MTU  atomic.Int32  // of the interface
	Port atomic.Uint32 // on which the sockets listen, for the loop rule
}
