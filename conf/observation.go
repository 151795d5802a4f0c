package conf

import (
	"net/netip"
	"time"

	"wgd/key"
)

// An Observation is something that was seen, and that may explain why a tunnel does
// not work. It says how often, and when first and last. Those about handshakes are
// forgotten when a handshake with the peer completes, and when the interface goes
// down.
type Observation struct {
	// Kind says what was seen.
	Kind ObservationKind
	// Count is how often.
	Count uint64
	// First and Last are when.
	First, Last time.Time
	// Key is a public key that was claimed or concerned; zero if there is none.
	Key key.Public
	// Address is where it came from or was sent to; the port is 0 if there is none.
	Address netip.AddrPort
	// Detail has no spaces; the kind says what it is.
	Detail string
}

// ObservationKind is the kind of an Observation.
type ObservationKind string

// The kinds of observations about a peer.
const (
	// NoAnswer: handshake initiations were sent to Address, and no handshake has
	// completed since.
	NoAnswer ObservationKind = "no-answer"
	// NotConfirmed: handshake responses were sent to Address, and no session was
	// used since.
	NotConfirmed ObservationKind = "not-confirmed"
	// ResponseRefused: handshake responses from Address did not authenticate.
	ResponseRefused ObservationKind = "response-refused"
	// TimestampReplayed: the timestamps of initiations from Address were not newer
	// than one accepted before.
	TimestampReplayed ObservationKind = "timestamp-replayed"
	// CookieReceived: our handshake messages were answered by cookie replies.
	CookieReceived ObservationKind = "cookie-received"
	// SendFailed: the system refused to send handshake messages to Address. Detail
	// is the name of the error, such as EPERM.
	SendFailed ObservationKind = "send-failed"
	// SourceRefused: authentic packets had an inner source, Address, that is not in
	// the peer's allowed IPs. Only the last one is kept.
	SourceRefused ObservationKind = "source-refused"
	// AllowedIPTaken: the peer had the prefix Detail, and it was given to the peer
	// Key.
	AllowedIPTaken ObservationKind = "allowed-ip-taken"
)

// The kinds of observations about an interface. Only the latest few of each kind are
// kept, because anybody may cause them.
const (
	// UnknownKey: handshake initiations from Address claimed the public key Key,
	// which no peer has.
	UnknownKey ObservationKind = "unknown-key"
	// BadMAC1: handshake messages from Address were made for another public key
	// than that of this interface. Of a flood, only some are counted.
	BadMAC1 ObservationKind = "bad-mac1"
	// NoPeer: packets to the inner address Address were dropped because no peer has
	// it among its allowed IPs.
	NoPeer ObservationKind = "no-peer"
)
