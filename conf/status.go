package conf

import (
	"net/netip"
	"time"

	"wgd/key"
)

// A Status is the state of an interface at one moment. It is a copy, which
// does not follow later changes.
type Status struct {
	// Name is the name of the interface.
	Name string
	// PrivateKey is the private key; the zero key means none.
	PrivateKey key.Private
	// PublicKey belongs to PrivateKey; the zero key means none.
	PublicKey key.Public
	// KeysWithheld reports that the status was requested by a program that may
	// only read: PrivateKey and the preshared keys are zero, whatever they are.
	KeysWithheld bool
	// ListenPort is the UDP port; 0 means none yet.
	ListenPort uint16
	// FirewallMark is the mark (SO_MARK) of all outgoing datagrams; 0 means
	// none.
	FirewallMark uint32
	// NoMSSClamp reports that the maximum segment size of TCP connections is
	// left as it is.
	NoMSSClamp bool
	// LentLimit is how many peers may be lent; 0 means any number.
	LentLimit uint32
	// MTU is the MTU of the interface in bytes.
	MTU int
	// Up reports whether the interface is up.
	Up bool
	// InProcess reports that the interface is a TCP/IP stack in the process of
	// the tunnel, and not one of the kernel.
	InProcess bool
	// Fault says in a sentence why the interface is up but does not work, for
	// example because its port is taken. "" means that it works.
	Fault string
	// AEAD names the code that encrypts and decrypts packets on this
	// processor, and says what was wrong with a faster one that failed its
	// self-test.
	AEAD string
	// Tunables are the current values.
	Tunables Tunables
	// Peers are in the order in which they were added.
	Peers []PeerStatus
	// Drops are the reasons for which packets were dropped so far.
	Drops []Drop
	// Counters are the other observations about packets so far.
	Counters []Counter
	// Observations may explain why something does not work.
	Observations []Observation
}

// Erase zeroes the secret keys in s. Copies of s share them.
func (s *Status) Erase() {
	s.PrivateKey.Erase()
	for i := range s.Peers {
		s.Peers[i].PresharedKey.Erase()
	}
}

// Withhold erases the secret keys in s, for a program that may only read.
// Copies of s share them.
func (s *Status) Withhold() {
	s.KeysWithheld = true
	for i := range s.Peers {
		p := &s.Peers[i]
		p.PresharedKeyWithheld = !p.PresharedKey.IsZero()
	}
	s.Erase()
	s.PrivateKey = key.Private{}
	for i := range s.Peers {
		s.Peers[i].PresharedKey = key.Preshared{}
	}
}

// A PathMTUSource is how the MTU of a path is known.
type PathMTUSource string

const (
	PathMTUOfRoute PathMTUSource = "route" // a route names it
	PathMTUByICMP  PathMTUSource = "icmp"  // an ICMP error reported it
	PathMTUByProbe PathMTUSource = "probe" // probes have found it
)

// A PeerStatus is the state of one peer.
type PeerStatus struct {
	// PublicKey identifies the peer.
	PublicKey key.Public
	// Name is the name that the peer was given; "" means none.
	Name string
	// PresharedKey is mixed into the handshakes; the zero key means none.
	PresharedKey key.Preshared
	// PresharedKeyWithheld reports that there is a preshared key, and that
	// PresharedKey is zero because of Status.KeysWithheld.
	PresharedKeyWithheld bool
	// Endpoint is where the next datagram is sent. It is invalid (see
	// netip.AddrPort.IsValid) if it is not known.
	Endpoint netip.AddrPort
	// EndpointName is HOST:PORT if the endpoint was given by name; "" if not.
	EndpointName string
	// EndpointFailure says in a sentence why the last lookup of the name
	// failed; "" if it did not.
	EndpointFailure string
	// PathMTU is the MTU of the path to the Endpoint, in bytes, if it is known to
	// be smaller than that of the first link. 0 means that it is not.
	PathMTU int
	// PathMTUSource is how it is known.
	PathMTUSource PathMTUSource
	// Stamp is the greatest stamp of initiations that was received from the peer, or
	// set; the zero Stamp means none.
	Stamp Stamp
	// Lent is the time in whole seconds after which the peer is removed if it has no
	// session and nothing is received from it; 0 means that it stays.
	Lent uint32
	// PersistentKeepalive is the interval in whole seconds; 0 means off.
	PersistentKeepalive uint16
	// AllowedIPs are the prefixes of the peer.
	AllowedIPs []netip.Prefix
	// LastHandshake is when the last handshake was completed; the zero time
	// means never.
	LastHandshake time.Time
	// RxBytes and TxBytes count the UDP payload of all messages, those
	// received only if they are authentic.
	RxBytes, TxBytes uint64
	// Observations may explain why the tunnel to this peer does not work.
	Observations []Observation
}

// A Drop is a reason for which packets were dropped, and how many.
type Drop struct {
	Reason string
	Count  uint64
}

// A Counter is something that was observed about packets that were not
// dropped for it, and about how many.
type Counter struct {
	Name  string
	Count uint64
}

// Tunables are the parameters that NetBSD has as net.wg sysctls, for tests and
// debugging, and PathMTUProbes. The times are whole seconds, from 1 second to 24 hours.
type Tunables struct {
	// RekeyAfterMessages is how many messages are sent in a session before a
	// new handshake begins.
	RekeyAfterMessages uint64
	// RekeyAfterTime is how old an initiator's session may become before a
	// message that is sent begins a new handshake.
	RekeyAfterTime time.Duration
	// RekeyTimeout is how long a handshake waits for a response before it is
	// tried again.
	RekeyTimeout time.Duration
	// RekeyAttemptTime is how long a handshake is tried before it is given up.
	RekeyAttemptTime time.Duration
	// KeepaliveTimeout is how long after receiving data a keepalive is sent if
	// nothing else is.
	KeepaliveTimeout time.Duration
	// ForceUnderload treats the interface as under load: every handshake needs
	// a cookie.
	ForceUnderload bool
	// Debug makes the daemon wgd log handshakes. Package wg only stores it:
	// there the level of Options.Log decides.
	Debug bool
	// PathMTUProbes looks for the MTU of the paths to peers by probes.
	PathMTUProbes bool
}

// A TunablesChange describes which tunables to change. A nil field leaves its
// tunable as it is. The times are whole seconds, from 1 second to 24 hours.
type TunablesChange struct {
	RekeyAfterMessages *uint64
	RekeyAfterTime     *time.Duration
	RekeyTimeout       *time.Duration
	RekeyAttemptTime   *time.Duration
	KeepaliveTimeout   *time.Duration
	ForceUnderload     *bool
	Debug              *bool
	PathMTUProbes      *bool
}

// DefaultTunables returns the values that the protocol prescribes.
func DefaultTunables() Tunables {
	return Tunables{
		RekeyAfterMessages: 1 << 60,
		RekeyAfterTime:     120 * time.Second,
		RekeyTimeout:       5 * time.Second,
		RekeyAttemptTime:   90 * time.Second,
		KeepaliveTimeout:   10 * time.Second,
		PathMTUProbes:      true,
	}
}
