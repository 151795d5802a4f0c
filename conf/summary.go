package conf

import "time"

// A Summary is what an interface has done, in figures whose number does not depend on that
// of the peers. The counts go from the start of the daemon on, also those of peers that
// have been removed.
type Summary struct {
	// Name is the name of the interface.
	Name string
	// Started is when the daemon started.
	Started time.Time
	// Up reports whether the interface is up.
	Up bool
	// Fault says in a sentence why the interface is up but does not work. "" means
	// that it works.
	Fault string
	// ListenPort is the UDP port; 0 means none yet.
	ListenPort uint16
	// FirewallMark is the mark (SO_MARK) of all outgoing datagrams; 0 means none.
	FirewallMark uint32
	// MTU is the MTU of the interface in bytes.
	MTU int
	// Peers is the number of peers.
	Peers int
	// ActivePeers is the number of those whose last handshake is not older than 180
	// seconds, the life of a session.
	ActivePeers int
	// RxBytes and TxBytes count the UDP payload of all messages, those received only
	// if they are authentic.
	RxBytes, TxBytes uint64
	// RxPackets and TxPackets count the packets in messages with data, keepalives
	// included.
	RxPackets, TxPackets uint64
	// Drops are all reasons for which packets may be dropped.
	Drops []Drop
	// Counters are the other observations about packets.
	Counters []Counter
	// Handshakes are all outcomes of handshakes.
	Handshakes []HandshakeCount
	// HandshakeTime has, in seconds, the time from our last initiation to the response,
	// of the handshakes that we initiated.
	HandshakeTime Histogram
	// Idle has, in seconds, how long ago each peer was last heard. Peers that were
	// never heard are missing.
	Idle Histogram
	// Goroutines is the number of goroutines of the daemon; 0 means that it is not
	// known.
	Goroutines int
	// Memory is how many bytes of memory Go's runtime holds in the daemon; 0 means
	// that it is not known.
	Memory uint64
}

// A HandshakeCount is how many handshakes, or messages of them, had an outcome.
type HandshakeCount struct {
	Outcome HandshakeOutcome
	// Reason is a word for why a handshake failed, or a message was refused. "" is none.
	Reason string
	Count  uint64
}

// A HandshakeOutcome is how a handshake, or a message of one, ended.
type HandshakeOutcome string

// The outcomes.
const (
	CompletedAsInitiator HandshakeOutcome = "completed-as-initiator"
	CompletedAsResponder HandshakeOutcome = "completed-as-responder"
	FailedHandshake      HandshakeOutcome = "failed"             // it was given up
	RefusedInitiation    HandshakeOutcome = "initiation-refused" // a message
	RefusedResponse      HandshakeOutcome = "response-refused"   // a message
)

// A Histogram counts values by size.
type Histogram struct {
	// Bounds are in increasing order.
	Bounds []float64
	// Counts has one element more than Bounds. Counts[i] is how many values were
	// Bounds[i] or less, but greater than the bound before; the last is how many were
	// greater than all bounds.
	Counts []uint64
	// Sum is the sum of the values.
	Sum float64
}
