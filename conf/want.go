package conf

import (
	"net/netip"
	"time"

	"wgd/key"
)

// A Want is something that arrived at an interface for a peer that it does not have.
// A program that knows the peer can add it; what arrived then goes on. Or it refuses
// the Want.
type Want struct {
	// Kind says what arrived.
	Kind WantKind
	// Key is the public key that the sender claims to have, with UnknownPeerKey.
	// Nothing proves it yet.
	Key key.Public
	// Endpoint is the address and port of the sender, with UnknownPeerKey and
	// UnknownSession. Anybody can forge it.
	Endpoint netip.AddrPort
	// Address is the inner address to which packets are sent, with UnknownDestination.
	Address netip.Addr
	// Missed is, with WantsMissed, how many packets and messages were not reported.
	// Several may be about one subject, so at most so many wants were missed.
	Missed uint64
}

// WantKind is the kind of a Want. Readers should accept those that they do not know:
// later versions may have more.
type WantKind string

// The kinds of Want.
const (
	// WantsBegin: the first in each stream. From now on, wants are reported.
	WantsBegin WantKind = "begin"
	// WantsMissed: the reader was too slow, or there were too many wants. What was
	// missed is reported when it arrives again, if there is room then; what another
	// reader has got, a minute later.
	WantsMissed WantKind = "missed"
	// UnknownPeerKey: an initiation whose sender knows the public key of the interface
	// arrived, and the sender's own key is of no peer.
	UnknownPeerKey WantKind = "unknown_key"
	// UnknownSession: data arrived that belongs to no session, as from a peer of another
	// gateway with the same private key. A program that knows the peer by its last
	// endpoint adds it, with Initiate.
	UnknownSession WantKind = "unknown_session"
	// UnknownDestination: a packet arrived from the interface for an inner address that
	// is in no peer's allowed IPs. It waits for up to 5 seconds.
	UnknownDestination WantKind = "unknown_destination"
)

// MaxRefusal is the maximum time for which a Want is refused, and the minimum time
// between two wants about the same subject that nobody has refused.
const MaxRefusal = time.Minute

// A Refusal says that nobody will add the peer of a Want. It has one subject.
type Refusal struct {
	// Key is that of a Want of UnknownPeerKey.
	Key key.Public
	// Endpoint is that of a Want of UnknownSession.
	Endpoint netip.AddrPort
	// Address is that of a Want of UnknownDestination.
	Address netip.Addr
	// For is how long the same subject is not reported again: from 0, for a failure
	// that is over soon, to MaxRefusal.
	For time.Duration
}
