package core

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/observe"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// member is a peer of this interface, with everything that only core needs. What
// the data plane also needs is in shared.
type member struct {
	key.Hidden
	shared *peer.Peer
	remote *noise.Remote // holds the public key
	maker  cookie.Maker

	number    uint64 // in Machine.list
	heapIndex int    // position in Machine.looks, from 1; 0: not in it
	removed   bool
	lowOrder  bool // its key is of low order: nothing is ever sent to it (A11)

	reported         netip.AddrPort // the endpoint of the last EndpointChanged
	name             string
	endpoint         named
	preshared        key.Preshared
	presharedChanges uint32
	allowed          []netip.Prefix // normalized, in the order of addition

	lease lease

	// Our own handshake with it, and why.
	own *initiation // nil: none is in progress
	rekey

	connected       bool          // it has a session, and SessionLost was not emitted yet
	quietSince      clock.Time    // when PeerQuiet was emitted, if PeerBack was not yet; 0: it was
	keepaliveOwed   bool          // the first persistent keepalive after Up, or after it was set (A41)
	jitter          time.Duration // added to its timers
	handshakeSent   clock.Time    // our last initiation or response; 0: none
	gapSkipped      clock.Time    // when the gap between initiations was last not kept, see maySkipGap
	keepaliveServed clock.Time    // when a persistent keepalive was last due
	lastSession     clock.Time    // when the last session was made
	completed       clock.Time    // when a handshake was last completed, by a response or a confirmation
	completedWall   int64         // the same in Unix nanoseconds, for the status

	observed observe.List // of the kinds that are about a peer

	// Its handshakes with us.
	acceptedAt clock.Time  // when its last initiation was accepted (A19)
	accepted   wire.TAI64N // the greatest stamp accepted (A18)
	stamp      wire.TAI64N // of our last initiation (A20)
}

// rekey is the state of our attempts to get a new session with a peer.
type rekey struct {
	wanted    bool       // initiate as soon as the gap between initiations allows
	suspected clock.Time // since when the current session seems dead; 0: it does not
	attempts  int        // number of initiations since a packet last needed a session
	probed    clock.Time // when a keepalive was sent because the network had changed; 0: never
	began     clock.Time // time of the first initiation
}

// public returns the peer's public key.
func (p *member) public() key.Public { return p.remote.Public() }

// add adds a member at the end. There must be none with this key.
func (m *Machine) add(public key.Public) *member {
	p := &member{
		shared: peer.New(m.common),
		remote: noise.NewRemote(public),
	}
	p.maker.SetPeer(public)
	p.shared.SetRecord(p)
	p.accepted = m.stamps.take(public)
	m.list.add(p)
	m.members[public] = p
	return p
}

// remove removes p from everything except the routes, which the caller edits, and
// erases its secrets (A35). Its jobs in progress will have no effect.
func (m *Machine) remove(p *member) {
	m.beforeChange(p)
	m.quiet(p)
	m.unlend(p)
	m.setEndpointName(p, "", "", 0)
	p.removed = true
	rx, tx := p.shared.Bytes()
	m.goneRx += rx
	m.goneTx += tx
	m.stamps.burn(p.stamp)
	delete(m.members, p.public())
	if m.names[p.name] == p {
		delete(m.names, p.name)
	}
	m.list.remove(p)
	p.erase()
}

// erase zeroes the secrets of p.
func (p *member) erase() {
	p.remote.Erase()
	p.maker.Erase()
	p.preshared.Erase()
}

// known returns the member of a shared peer, or nil if it has been removed (B25).
func known(shared *peer.Peer) *member {
	if p, ok := shared.Record().(*member); ok && !p.removed {
		return p
	}
	return nil
}

// Peer returns the peer with this public key, or nil if there is none.
func (m *Machine) Peer(public key.Public) *peer.Peer {
	if p := m.members[public]; p != nil {
		return p.shared
	}
	return nil
}

// NameOf returns the name of a peer, which is empty if it has none or was removed, and
// its public key.
func (m *Machine) NameOf(shared *peer.Peer) (name string, public key.Public) {
	p := shared.Record().(*member)
	if !p.removed {
		name = p.name
	}
	return name, p.public()
}

// Peers returns the peers in the order of addition.
func (m *Machine) Peers() []*peer.Peer {
	list := make([]*peer.Peer, 0, len(m.members))
	for p := range m.list.all() {
		list = append(list, p.shared)
	}
	return list
}

// follow sets the peer's endpoint to the source of an authenticated message
// (A51), and records the message.
func (m *Machine) follow(now clock.Now, p *member, from wire.Endpoint, size int) {
	p.shared.SetEndpoint(from)
	p.shared.CountReceived(size)
	p.shared.NoteReceived(now.Mono, false)
	m.heard(p)
}

// send emits a handshake message, and fills in its MACs. about has the fields of
// the output that are for logs.
func (m *Machine) send(now clock.Now, p *member, msg []byte, about Output) {
	p.maker.AddMACs(now.Mono, msg)
	p.handshakeSent = now.Mono
	p.shared.NoteSent(now.Mono, false)
	about.Kind, about.Peer, about.Endpoint, about.Message = Send, p.shared, p.shared.Endpoint(), msg
	m.emit(about)
}
