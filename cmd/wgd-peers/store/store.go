// Package store defines what wgd-peers needs of a store of peers, and what a peer in it
// is. Package sqlite is one store; others implement the same interface.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"wgd/internal/wire"
	"wgd/key"
)

// A Store holds the peers of gateways that share one identity. Several processes, on one
// computer or on many, use the same store at the same time. All methods may be called from
// several goroutines.
//
// A peer that cannot be used, because somebody wrote what nobody can write with this
// interface, is returned like the others, with a sentence in Problem. It affects no other
// peer.
type Store interface {
	// ByKey returns the peer with a public key, or ErrNotFound.
	ByKey(ctx context.Context, public key.Public) (*Peer, error)
	// ByName returns the peer with a name, or ErrNotFound.
	ByName(ctx context.Context, name string) (*Peer, error)
	// ByAddress returns the peer whose allowed IPs have the longest prefix of an address
	// inside the tunnel, or ErrNotFound.
	ByAddress(ctx context.Context, address netip.Addr) (*Peer, error)
	// ByEndpoint returns the peer that was seen last at an endpoint; if there is none, the
	// one that is configured to be there; or ErrNotFound.
	ByEndpoint(ctx context.Context, endpoint netip.AddrPort) (*Peer, error)
	// All returns all peers, in an order that the store chooses. It does not hold all of them
	// in memory, and is no snapshot: it may or may not have what changes meanwhile.
	All(ctx context.Context) iter.Seq2[*Peer, error]

	// Add adds a peer. It first appends to its allowed IPs a free address of each network:
	// one that no allowed IP inside the network has, and not the gateway's. A Refusal says why
	// the peer cannot be added.
	Add(ctx context.Context, p *Peer, networks []netip.Prefix) error
	// Update calls change with the peer, and stores what it has made of it: all but Seen,
	// Created and Changed. It returns the error of change, or a Refusal, and then changes nothing.
	Update(ctx context.Context, public key.Public, change func(*Peer) error) error
	// Delete removes a peer, or returns ErrNotFound.
	Delete(ctx context.Context, public key.Public) error
	// Import adds all peers, with what was seen of them, or none if it returns an error. The
	// error says so if all were added, but something of those that they replace is left. It
	// replaces those that exist if replace is true. A peer that is refused is passed to
	// skipped, before 1,000 later ones are taken, and the others are still added. It returns
	// how many were added and replaced.
	Import(ctx context.Context, peers iter.Seq2[*Peer, error], replace bool, skipped func(*Peer, error)) (added, replaced int, err error)

	// Revision returns the revision of the store: that of the latest change, or a later one.
	Revision(ctx context.Context) (Revision, error)
	// Watch returns the changes after a revision as they happen, within a fraction of a
	// second, until the context ends. It also reports what others wrote into the store.
	Watch(ctx context.Context, since Revision) iter.Seq2[Changes, error]
	// Record writes what was seen of peers. Peers that the store does not have are ignored. It
	// returns how many sightings are written, the first ones: after an error, the others are not,
	// or it is not known.
	Record(ctx context.Context, sightings []Sighting) (written int, err error)

	// RaiseCeiling returns the ceiling, in whole seconds: a time that the clocks of all gateways
	// reach soon, and have not reached while they could raise it. If it is before needed, it is
	// raised to the time to first.
	RaiseCeiling(ctx context.Context, needed, to time.Time) (time.Time, error)

	// Gateway returns what all clients must know about the gateways.
	Gateway(ctx context.Context) (*Gateway, error)
	// SetGateway replaces that.
	SetGateway(ctx context.Context, g *Gateway) error

	Close() error
}

// ErrNotFound means that the store has no such peer.
var ErrNotFound = errors.New("the store has no such peer")

// A Refusal says in a sentence why the store does not take one peer.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Refusef returns a Refusal with the formatted text.
func Refusef(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// A Revision is a position in the history of a store. Each change has a greater one.
type Revision int64

// Changes are successive changes of a store.
type Changes struct {
	Revision Revision     // that of the last change
	Keys     []key.Public // of the peers that were added, changed or removed, each once
	// Lost means that the store no longer knows all changes since the last revision: every
	// peer may have changed.
	Lost bool
}

// A Sighting is what a gateway has seen of a peer since it last reported.
type Sighting struct {
	PublicKey key.Public
	Endpoint  netip.AddrPort // invalid: not seen; the store keeps the one it has
	At        time.Time      // when; an earlier Sighting does not replace the endpoint of a later one
	Stamp     wire.TAI64N    // the greatest received one; the store keeps the greatest of all
	RxBytes   uint64         // are added to those in the store
	TxBytes   uint64
}

// A Gateway is what clients must know about the gateways, which share one identity.
type Gateway struct {
	PublicKey  key.Public     `json:"public_key"`
	Endpoint   string         `json:"endpoint"`    // HOST:PORT; "": not known
	Addresses  []netip.Prefix `json:"addresses"`   // those inside the tunnel, with the length of their networks
	AllowedIPs []netip.Prefix `json:"allowed_ips"` // what clients send through the tunnel; none: the networks of Addresses
	DNS        []string       `json:"dns"`         // as in the directive DNS
	Keepalive  uint16         `json:"persistent_keepalive"`
}

// Networks returns the networks of the gateway's addresses, each once.
func (g *Gateway) Networks() (list []netip.Prefix) {
	for _, a := range g.Addresses {
		if network := a.Masked(); !slices.Contains(list, network) {
			list = append(list, network)
		}
	}
	return list
}
