package core

// Event is what an output of kind Tell says has happened. It is for people, as
// in a log: the protocol never depends on it.
type Event uint8

// What may have happened. Each is about Output.Peer, but for a refused
// initiation whose owner is no peer.
const (
	InitiationReceived Event = iota + 1 // it is authentic and new, and will be answered
	InitiationRefused                   // Cause says why; it came from Endpoint
	ResponseRefused                     // likewise
	CookieReceived                      // the next handshake message carries it
	SessionBegun                        // both sides have its keys: Initiator, After
	GivenUp                             // there is no session: Cause, Attempt, After
	KeysErased                          // nobody has made another session for long (A35)

	events // how many there are, and one
)

var eventNames = [events]string{
	InitiationReceived: "handshake initiation received",
	InitiationRefused:  "handshake initiation refused",
	ResponseRefused:    "handshake response refused",
	CookieReceived:     "cookie received: the next handshake message carries it",
	SessionBegun:       "a session begins",
	GivenUp:            "handshake given up",
	KeysErased:         "keys erased: no session was made for long",
}

// String says it for people.
func (e Event) String() string {
	if e >= events {
		e = 0
	}
	return eventNames[e]
}

// Cause is why an initiation was sent or refused, or a peer given up.
type Cause uint8

// The causes. NoCause stands where there is nothing to explain.
const (
	NoCause Cause = iota

	// Why an initiation is sent.
	NoSession
	SessionOld
	SessionUsed
	NoReply
	NoAnswer // why a peer is given up, too

	// Why a peer is given up.
	NoWayToSpeak
	LowOrder // why an initiation is refused, too

	// Why a message is refused.
	NotAuthentic
	UnknownKey
	Replayed
	TooSoon
	Changed

	causes // how many there are
)

var causeNames = [causes]string{
	NoCause:      "no cause",
	NoSession:    "there is no session",
	SessionOld:   "the session is old",
	SessionUsed:  "the session has sealed many messages",
	NoReply:      "nothing came back on the session",
	NoAnswer:     "no answer",
	NoWayToSpeak: "the peer has no endpoint, or the interface no private key",
	LowOrder:     "the peer's public key is of low order",
	NotAuthentic: "it does not authenticate: it is forged, or made with other keys or another preshared key",
	UnknownKey:   "no peer has this public key",
	Replayed:     "its timestamp is not newer than the last",
	TooSoon:      "it came within 20 ms of the last",
	Changed:      "the configuration changed meanwhile",
}

// String says it for people.
func (c Cause) String() string {
	if c >= causes {
		c = NoCause
	}
	return causeNames[c]
}

// tell emits an event about p.
func (m *Machine) tell(p *member, o Output) {
	o.Kind, o.Peer = Tell, p.shared
	m.emit(o)
}

// refuse counts a handshake message that came from o.Endpoint and is not
// accepted, and tells why. p is the peer whose message it is or claims to be;
// nil when it is nobody's.
func (m *Machine) refuse(p *member, o Output) {
	m.refused++
	o.Kind = Tell
	if p != nil {
		o.Peer = p.shared
	}
	m.emit(o)
}
