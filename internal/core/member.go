package core

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// member is a peer of this interface, with all that only core knows of it.
// What the data plane needs too is in shared.
type member struct {
	key.Hidden
	shared *peer.Peer
	remote *noise.Remote // holds the public key
	maker  cookie.Maker

	before, after *member // in the order of addition
	place         int     // in Machine.looks, from 1; 0: not there
	removed       bool
	mute          bool // its key is of low order: nothing is ever sent to it (A11)

	name             string
	preshared        key.Preshared
	presharedChanges uint32
	allowed          []netip.Prefix // in the order of addition, normal

	// Our own handshake with it, and why.
	own *initiation // nil: none is under way
	pursuit

	keepaliveOwed   bool          // the first persistent one after up, or after it was set (A41)
	jitter          time.Duration // of its timers at the moment
	handshakeSent   clock.Time    // our last initiation or response; 0: none
	keepaliveServed clock.Time    // when a persistent one was last due
	lastSession     clock.Time    // when the last session was made
	completed       clock.Time    // when one was last completed: response, or confirmation
	completedWall   int64         // the same for people, in Unix nanoseconds

	// Its handshakes with us.
	acceptedAt clock.Time  // of the last one accepted (A19)
	accepted   wire.TAI64N // the greatest stamp accepted (A18)
	stamp      wire.TAI64N // of our last initiation (A20)
}

// pursuit is the wish for a new session with a peer, and how long it has been
// tried to fulfil.
type pursuit struct {
	wanted    bool       // as soon as the gap between initiations allows
	suspected clock.Time // since when the current session is thought dead; 0: it is not
	attempts  int        // initiations since somebody last wanted to send
	began     clock.Time // the first initiation of this pursuit
}

// public is the peer's key, which names it.
func (p *member) public() key.Public { return p.remote.Public() }

// add makes a member, last in order. It must not be there yet.
func (m *Machine) add(public key.Public) *member {
	p := &member{
		shared: peer.New(m.common),
		remote: noise.NewRemote(public),
		before: m.last,
	}
	p.maker.SetPeer(public)
	p.shared.SetRecord(p)
	p.accepted = m.stamps.take(public)
	if m.last == nil {
		m.first = p
	} else {
		m.last.after = p
	}
	m.last = p
	m.members[public] = p
	return p
}

// remove takes p out of everything but the routes, which the caller edits, and
// erases its secrets (A35). Jobs that are under way for it come to nothing.
func (m *Machine) remove(p *member) {
	m.quiet(p)
	p.removed = true
	m.stamps.burn(p.stamp)
	delete(m.members, p.public())
	if m.names[p.name] == p {
		delete(m.names, p.name)
	}
	if p.before == nil {
		m.first = p.after
	} else {
		p.before.after = p.after
	}
	if p.after == nil {
		m.last = p.before
	} else {
		p.after.before = p.before
	}
	p.erase()
}

// erase zeroes what is secret in p.
func (p *member) erase() {
	p.remote.Erase()
	p.maker.Erase()
	p.preshared.Erase()
}

// known is the member behind what the data plane shares, nil when it has been
// removed meanwhile (B25).
func known(shared *peer.Peer) *member {
	if p, ok := shared.Record().(*member); ok && !p.removed {
		return p
	}
	return nil
}

// Peers are the peers in the order of addition.
func (m *Machine) Peers() []*peer.Peer {
	list := make([]*peer.Peer, 0, len(m.members))
	for p := m.first; p != nil; p = p.after {
		list = append(list, p.shared)
	}
	return list
}

// follow moves the peer's endpoint to where an authenticated message came from
// (A51), and notes the message.
func (p *member) follow(now clock.Now, from wire.Endpoint, size int) {
	p.shared.SetEndpoint(from)
	p.shared.CountReceived(size)
	p.shared.NoteReceived(now.Mono, false)
}

// send emits a handshake message, its MACs filled in. about is what there is to
// tell people of it.
func (m *Machine) send(now clock.Now, p *member, msg []byte, about Output) {
	p.maker.AddMACs(now.Mono, msg)
	p.handshakeSent = now.Mono
	p.shared.NoteSent(now.Mono, false)
	about.Kind, about.Peer, about.Endpoint, about.Message = Send, p.shared, p.shared.Endpoint(), msg
	m.emit(about)
}
