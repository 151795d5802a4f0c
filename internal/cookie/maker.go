package cookie

import (
	"golang.org/x/crypto/blake2s"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// Maker is what a sender keeps for one peer to make mac1 and mac2. It is not
// safe for concurrent use.
//
// The keys of mac1 and of cookie replies are made anew each time: that is
// nothing beside a handshake, and memory is kept for every peer.
type Maker struct {
	key.Hidden
	peer    key.Public
	cookie  mac
	got     clock.Time // when the cookie came; 0: there is none
	mac1    mac        // of the message sent last
	waiting bool       // no reply to that message was accepted yet
}

// NewMaker is the maker for messages to a peer.
func NewMaker(peer key.Public) *Maker { return &Maker{peer: peer} }

// SetPeer makes m the maker for messages to another peer.
func (m *Maker) SetPeer(peer key.Public) { *m = Maker{peer: peer} }

// AddMACs fills the last two fields of an encoded initiation or response, in
// place; mac2 with zeroes when there is no fresh cookie (A23, A24). Every
// sending, retransmissions too, needs a call of its own.
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
	if m.got == 0 || now.Sub(m.got) >= maxAge {
		m.cookie, m.got = mac{}, 0
		clear(field)
		return
	}
	h = newMAC(m.cookie[:])
	h.Write(covered)
	h.Sum(field[:0])
}

// Consume takes the cookie out of an encoded cookie reply, for the messages
// from here on. It is false, and nothing changes, unless the reply was made by
// the peer for the last message, and is the first for it (A26). It calls for
// no resend: the next retransmission will carry mac2.
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
	m.cookie, m.got, m.waiting = mac(cookie), now, false
	return true
}

// Erase forgets the cookie and the last message; the peer stays.
func (m *Maker) Erase() { *m = Maker{peer: m.peer} }
