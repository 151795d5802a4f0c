package dataplane

import (
	"sync/atomic"

	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/capture"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/unknown"
)

// A TUN delivers packets to the interface.
type TUN interface {
	// Write delivers one packet or super-packet, whose pieces package packet
	// describes. It does not keep them.
	Write(pieces [][]byte) error
}

// A UDP sends datagrams on the sockets.
type UDP interface {
	// Send sends one train of datagrams of equal length, of which the last may be
	// shorter. Send splits a train that is too long for one system call. It does
	// not keep b. The error batch.ErrSourceGone means that the source address in
	// b.Remote is gone and must be forgotten (A52); batch.Sent reports whether all
	// datagrams were sent.
	Send(b *batch.Batch) error
	// SendAll sends several trains, in order to each destination. errs is as long as bs; each error becomes
	// what Send would have returned for the train.
	SendAll(bs []batch.Batch, errs []error)
}

// Notes are posted by the data plane to core. Posting must not block. The same note
// may be posted with every batch until core has acted on it.
type Notes interface {
	Want(*peer.Peer)                      // a new session is wanted; core decides when
	Confirm(*peer.Peer, *session.Keypair) // first data on the responder's next session (A33)
	Wake(*peer.Peer)                      // a deadline earlier than the peer's NextLook appeared, or its endpoint changed
	Route(*peer.Peer)                     // the route to the peer is needed, see peer.NeedsRoute
	Probe(*peer.Peer, peer.ProbeWish)     // the MTU of the path matters, see peer.NeedsProbe
	ProbeAnswered(*peer.Peer, packet.EchoAnswer)
}

// Shared is what all Encapsulators and Decapsulators of one interface share. All of
// its fields must be set before the first of them runs.
type Shared struct {
	Notes    Notes
	Offloads func() packet.Offloads // the super-packets that the interface accepts now; nil: none

	Routes *atomic.Pointer[allowedips.Table[*peer.Peer]] // published by core
	Index  *index.Table
	Drops  *Drops

	Counters  *Counters
	Unreached Unreached
	Spoofing  peer.Sole // the peer of DropSource

	Sent, Received Tally // packets in authentic messages, keepalives included

	// Buffer returns n bytes that owner may use as long as it is reachable. If
	// Buffer is nil, they come from Go's heap.
	Buffer func(owner *SealJob, n int) []byte

	Captures capture.Hub // who captures packets

	Unknown *unknown.Table // who may add the peers of packets that are dropped; nil: nobody

	MTU atomic.Int32 // of the interface
	// KeepMSS says that the MSS of TCP connections is not reduced to what the MTU carries.
	KeepMSS atomic.Bool
	Port    atomic.Uint32 // on which the sockets listen, to detect loops
}

// clampedTo returns how long packets of new TCP connections may be, so that they fit into
// the interface; 0: as long as the ends want.
func (s *Shared) clampedTo() int {
	if s.KeepMSS.Load() {
		return 0
	}
	return int(s.MTU.Load())
}
