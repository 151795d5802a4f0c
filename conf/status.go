package conf

import (
	"net/netip"
	"time"

	"wgd/key"
)

// Status is what an interface is at one moment. It is a copy: nothing in it
// changes afterwards.
type Status struct {
	Name         string
	PrivateKey   key.Private // zero: none
	PublicKey    key.Public
	ListenPort   uint16
	FirewallMark uint32
	MTU          int
	Up           bool
	Fault        string // why it does not work though it should (port taken); "" when all is well
	AEAD         string // what encrypts its packets: the code chosen for this processor, and what was wrong with a better one
	Tunables     Tunables
	Peers        []PeerStatus // in the order they were added
	Drops        []Drop       // reasons that occurred, with their counts
	Counters     []Counter    // what else was noticed about packets, none of which was dropped for it
}

// Erase zeroes the keys in s and in all copies of it.
func (s *Status) Erase() {
	s.PrivateKey.Erase()
	for i := range s.Peers {
		s.Peers[i].PresharedKey.Erase()
	}
}

// PeerStatus is one peer of a Status.
type PeerStatus struct {
	PublicKey           key.Public
	Name                string // "" when it was never named
	PresharedKey        key.Preshared
	Endpoint            netip.AddrPort // invalid: none
	PersistentKeepalive uint16         // seconds
	AllowedIPs          []netip.Prefix
	LastHandshake       time.Time // zero: never
	RxBytes, TxBytes    uint64    // UDP payload of all its messages, received ones once authenticated
}

// Drop is a reason for which packets were dropped, and how many were.
type Drop struct {
	Reason string
	Count  uint64
}

// Counter is something that was noticed about packets that were carried on
// all the same, and how many there were.
type Counter struct {
	Name  string
	Count uint64
}

// Tunables are NetBSD's net.wg sysctls: for tests and debugging.
type Tunables struct {
	RekeyAfterMessages uint64
	RekeyAfterTime     time.Duration
	RekeyTimeout       time.Duration
	RekeyAttemptTime   time.Duration
	KeepaliveTimeout   time.Duration
	ForceUnderload     bool
	Debug              bool
}

// TunablesChange is a change of Tunables; a nil field stays as it is.
type TunablesChange struct {
	RekeyAfterMessages *uint64
	RekeyAfterTime     *time.Duration
	RekeyTimeout       *time.Duration
	RekeyAttemptTime   *time.Duration
	KeepaliveTimeout   *time.Duration
	ForceUnderload     *bool
	Debug              *bool
}

// DefaultTunables are the values of the protocol (§6.1).
func DefaultTunables() Tunables {
	return Tunables{
		RekeyAfterMessages: 1 << 60,
		RekeyAfterTime:     120 * time.Second,
		RekeyTimeout:       5 * time.Second,
		RekeyAttemptTime:   90 * time.Second,
		KeepaliveTimeout:   10 * time.Second,
	}
}
