package serve

import (
	"net/netip"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wire"
)

// This file has what a daemon says and is told about peers that it was lent.

// isLent reports whether a peer was lent to the interface, so that it is ours to change.
func isLent(p *conf.PeerStatus) bool { return p.Lent != 0 }

// isReturn reports whether an event says that a lent peer is in the interface no more.
func isReturn(e *conf.Event) bool { return e.Kind == conf.PeerReturned }

// stampOf returns the greatest timestamp that was received from a peer.
func stampOf(p *conf.PeerStatus) wire.TAI64N { return wire.TAI64N(p.Stamp) }

func stampOfEvent(e *conf.Event) wire.TAI64N { return wire.TAI64N(e.Stamp) }

// bytesOfEvent returns the counts of a peer that was returned.
func bytesOfEvent(e *conf.Event) (rx, tx uint64) { return e.RxBytes, e.TxBytes }

// lend returns the change that lends a peer to an interface, for a number of seconds without
// use. keep means that the peer is there, and keeps its endpoint. If at is valid, a handshake
// with the peer is initiated there.
func lend(p *store.Peer, seconds uint32, keep bool, at netip.AddrPort) (conf.PeerChange, error) {
	c, err := p.Change()
	c.Lent = &seconds
	c.Name = &p.Name // also none, if it was removed
	if stamp := conf.Stamp(p.Seen.Stamp); !stamp.IsZero() {
		c.Stamp = &stamp
	}
	switch {
	case at.IsValid():
		c.Endpoint, c.EndpointName, c.Initiate = &at, nil, true
	case keep:
		c.Endpoint, c.EndpointName = nil, nil
	case p.Seen.Endpoint.IsValid():
		c.Endpoint = &p.Seen.Endpoint
	}
	return c, err
}
