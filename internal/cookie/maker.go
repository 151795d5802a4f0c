package cookie

import (
	"golang.org/x/crypto/blake2s"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// Maker makes mac1 and mac2 of the messages to one peer. It is not safe for
// concurrent use.
//
// It computes the keys of mac1 and of cookie replies each time. That costs
// little compared with a handshake, and saves memory for every peer.
type Maker struct {
	key.Hidden
	peer     key.Public
	cookie   mac
	received clock.Time // when the cookie was received; 0: there is none
	mac1     mac        // of the last message
	waiting  bool       // no reply to that message has been accepted
}

// NewMaker returns a Maker for messages to a peer.
func NewMaker(peer key.Public) *Maker { return &Maker{peer: peer} }

// SetPeer makes m a Maker for messages to another peer.
func (m *Maker) SetPeer(peer key.Public) { *m = Maker{peer: peer} }

// AddMACs fills the last two fields of an encoded initiation or response in
// place. mac2 is zero if there is no fresh cookie (A23, A24). Every
// transmission, including a retransmission, needs a call of its own.
func (m *Maker) AddMACs(now clock.Time, msg []byte) {
	if !hasMACs(msg) {
		panic("cookie: MACs for something that has none")
	}
	var k [blake2s.Size]byte
	labelled(&k, mac1Label, m.peer)
	covered, field := mac1Of(msg)
	h := newMAC(k[:])
	h.Write(covered)
	h.Sum(field[:0])
	m.mac1, m.waiting = mac(field), true

	covered, field = mac2Of(msg)
	if m.received == 0 || now.Sub(m.received) >= maxAge {
		m.cookie, m.received = mac{}, 0
		clear(field)
		return
	}
	h = newMAC(m.cookie[:])
	h.Write(covered)
	h.Sum(field[:0])
}

// Consume reads the cookie from an encoded cookie reply. Later messages use it.
// It returns false and changes nothing unless the peer made the reply for the
// last message, and it is the first such reply (A26). The caller need not resend
// anything: the next retransmission has a mac2.
func (m *Maker) Consume(now clock.Time, msg []byte) bool {
	reply, ok := wire.DecodeCookieReply(msg)
	if !ok || !m.waiting {
		return false
	}
	var k [blake2s.Size]byte
	labelled(&k, cookieLabel, m.peer)
	var room mac
	cookie, err := newCipher(&k).Open(room[:0], reply.Nonce[:], reply.Cookie[:], m.mac1[:])
	if err != nil {
		return false
	}
	m.cookie, m.received, m.waiting = mac(cookie), now, false
	return true
}

// Erase erases the cookie and the mac1 of the last message. The peer stays.
func (m *Maker) Erase() { *m = Maker{peer: m.peer} }
