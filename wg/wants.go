package wg

import (
	"context"
	"iter"

	"wgd/conf"
)

// Wants returns an iterator over what arrives, from now on, for peers that the interface
// does not have. The first Want is of kind conf.WantsBegin. The iterator ends when ctx is
// done or the interface has ended.
//
// A program that knows the peer adds it by Apply. An initiation that caused the Want is
// then answered as if it had just arrived, if that is not more than 5 seconds ago. If
// there is no such peer, the program calls Refuse. The same key, endpoint or address is
// reported once in a minute, unless its peer is added and removed meanwhile. Packets to
// unknown destinations wait for 5 seconds, too, and their senders get no ICMP errors
// meanwhile.
//
// If there are several readers, each gets all wants, and the first that adds the peer
// wins. A reader holds up neither the tunnel nor other readers: it gets a
// conf.WantsMissed if it falls behind by more than 1,024 wants. Without a reader nothing
// is kept.
func (w *Interface) Wants(ctx context.Context) iter.Seq[conf.Want] { return w.engine.Wants(ctx) }

// Refuse says that nobody will add the peer of a Want. What was kept for it is dropped.
func (w *Interface) Refuse(r conf.Refusal) { w.engine.Refuse(r) }
