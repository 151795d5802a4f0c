// Package conf has the configuration of a tunnel as values: a Change says what
// is to be different, a Status what is. Every front end (the control socket,
// wgconfig, the files, a Go program) turns its language into one Change, which
// is validated whole and applied whole.
package conf

import (
	"net/netip"

	"wgd/key"
)

// Change is what one request wants different about an interface. A nil field
// stays as it is.
type Change struct {
	PrivateKey   *key.Private // the zero key removes it
	ListenPort   *uint16      // 0: any port free in both families
	FirewallMark *uint32      // SO_MARK of every outgoing packet; 0: none
	Tunables     TunablesChange
	ReplacePeers bool // peers that are not in Peers are removed
	Peers        []PeerChange
}

// Erase zeroes the keys in c and in all copies of it, when they have been
// applied. Who gave the keys himself keeps them by not calling it.
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

// PeerChange is what is to be different about one peer, named by its public
// key. The same key twice in one Change is one peer, the second after the
// first (A59).
type PeerChange struct {
	PublicKey           key.Public
	Remove              bool           // the rest is ignored
	UpdateOnly          bool           // never creates the peer
	Name                *string        // up to MaxNameLen bytes of letters, digits and ._@-; "" forgets it
	PresharedKey        *key.Preshared // the zero key removes it
	Endpoint            *netip.AddrPort
	PersistentKeepalive *uint16 // seconds; 0: off
	ReplaceAllowedIPs   bool    // those that are not in AllowedIPs are removed
	AllowedIPs          []AllowedIPChange
}

// AllowedIPChange adds a prefix to a peer (taking it from the peer that has
// it, A50), or removes it if that peer has it. Host bits are masked. An
// IPv4-mapped prefix is an IPv6 prefix: ::ffff:0:0/96 is not 0.0.0.0/0.
type AllowedIPChange struct {
	Prefix netip.Prefix
	Remove bool
}
