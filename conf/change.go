// Package conf defines the configuration of a tunnel as values: a Change
// describes what to change, a Status describes the present state. Every front
// end (the control socket, wgconfig, configuration files, a Go program) builds
// one Change, which is validated as a whole and applied as a whole.
package conf

import (
	"net/netip"
	"time"

	"wgd/key"
)

// A Change describes what to change about an interface. A nil pointer leaves
// its setting as it is.
type Change struct {
	// PrivateKey is the private key of the interface. The zero key removes it.
	PrivateKey *key.Private
	// ListenPort is the UDP port. 0 chooses a port that is free for both IPv4
	// and IPv6.
	ListenPort *uint16
	// FirewallMark is the mark (SO_MARK) of all outgoing datagrams. 0 means
	// none.
	FirewallMark *uint32
	// MSSClamp says whether the maximum segment size (MSS) that TCP connections
	// through the tunnel agree on is reduced to what the MTU carries. It is at
	// first.
	MSSClamp *bool
	// LentLimit is how many peers may be lent (see PeerChange.Lent); 0 means any
	// number. If there are more, those that have sent nothing for longest are removed,
	// as if they had been idle for too long.
	LentLimit *uint32
	// StampFloor is a stamp that those of our next initiations are greater than: the
	// greatest that another gateway with the same private key has used. One that is
	// not greater than our last stamp changes nothing. One that is more than
	// MaxFloorAhead ahead of the clock is refused.
	StampFloor *Stamp
	// Tunables are the tunables to change.
	Tunables TunablesChange
	// ReplacePeers removes all peers that Peers does not name.
	ReplacePeers bool
	// Peers are the peers to add, change or remove, in this order.
	Peers []PeerChange
}

// MaxFloorAhead is how far a StampFloor may be ahead of the clock. More than that is an error
// of some clock, which should not spread to others.
const MaxFloorAhead = 24 * time.Hour

// Erase zeroes the secret keys in c. Copies of c share them. Call it after c
// was applied, unless the keys are still needed.
func (c *Change) Erase() {
	if c.PrivateKey != nil {
		c.PrivateKey.Erase()
	}
	for i := range c.Peers {
		if k := c.Peers[i].PresharedKey; k != nil {
			k.Erase()
		}
	}
}

// A PeerChange describes what to change about one peer. A nil pointer leaves
// its setting as it is. If a Change names the same peer twice, the second
// PeerChange is applied after the first.
type PeerChange struct {
	// PublicKey identifies the peer. A peer that does not exist is created,
	// unless Remove or UpdateOnly is set.
	PublicKey key.Public
	// Remove removes the peer. All other fields are ignored.
	Remove bool
	// UpdateOnly ignores this PeerChange if the peer does not exist.
	UpdateOnly bool
	// Name is up to MaxNameLen letters, digits and ._@-; "" removes the name.
	Name *string
	// PresharedKey is mixed into the handshakes. The zero key removes it.
	PresharedKey *key.Preshared
	// Endpoint is the address and port to which the next datagrams are sent.
	Endpoint *netip.AddrPort
	// EndpointName is HOST:PORT with a name of a host, which is looked up again
	// and again to find the endpoint; "" removes it. Endpoint alone removes it
	// too; together with EndpointName it is the endpoint until the name is
	// known.
	EndpointName *string
	// Initiate begins a handshake at once, if there is an endpoint and no session
	// that works: without waiting for a packet to send. It waits until RekeyTimeout has
	// passed since the last handshake message to this peer, unless the peer was removed
	// meanwhile or the network has changed. If data for no session has arrived from the endpoint (see
	// UnknownSession) since the peer was last heard, the peer uses no session of this
	// interface, and a new one is wanted in any case.
	Initiate bool
	// Stamp is the greatest stamp of initiations that was received from the peer, by
	// any interface with this private key. An initiation with no greater one is
	// refused as a replay. A Stamp that is not greater than the one known changes
	// nothing.
	Stamp *Stamp
	// Lent is the time in whole seconds after which the peer is removed if it has no
	// session and nothing is received from it. A session counts for three minutes, also
	// if it is lost before. The time begins again when Lent is set, and when the
	// interface goes up. 0 means that the peer stays.
	Lent *uint32
	// PersistentKeepalive is the time in whole seconds, 1 to 65535, after
	// which a keepalive is sent if nothing else was sent or received. 0 turns
	// it off.
	PersistentKeepalive *uint16
	// ReplaceAllowedIPs removes all allowed IPs that AllowedIPs does not add.
	ReplaceAllowedIPs bool
	// AllowedIPs are the prefixes to add or remove, in this order.
	AllowedIPs []AllowedIPChange
}

// An AllowedIPChange adds a prefix to a peer, or removes it if the peer has
// it. If another peer has a prefix that is added, it loses it. Host bits are
// masked. An IPv4-mapped prefix is an IPv6 prefix: ::ffff:0:0/96 does not mean
// 0.0.0.0/0.
type AllowedIPChange struct {
	Prefix netip.Prefix
	Remove bool
}
