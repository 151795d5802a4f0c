package core

import (
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/clock"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// Apply applies a change as a whole; if it returns an error, nothing has changed
// (A59). The data plane sees all moves of allowed IPs at once (A50).
func (m *Machine) Apply(now clock.Now, c conf.Change) error {
	if err := c.Validate(); err != nil {
		return err
	}
	next := m.nextIdentity(&c)
	if err := m.checkNames(&c, next); err != nil {
		return err
	}
	if err := checkFloor(now, c.StampFloor); err != nil {
		return err
	}
	// No step after this one can fail.
	e := &edit{m: m, now: now, routes: m.routes.Load().Edit()}
	if next != m.identity {
		e.setIdentity(next, *c.PrivateKey)
	}
	if c.ReplacePeers {
		e.removeAll()
	}
	for i := range c.Peers {
		e.peer(&c.Peers[i])
	}
	if c.LentLimit != nil {
		m.lentLimit = *c.LentLimit
	}
	e.keepLimit()
	e.publish()
	if c.ListenPort != nil {
		m.port = *c.ListenPort
	}
	m.applyFloor(now, c.StampFloor)
	m.applyMark(c.FirewallMark)
	if c.MSSClamp != nil {
		m.keepMSS = !*c.MSSClamp
	}
	m.applyTunables(c.Tunables)
	e.look(&c)
	return nil
}

// edit is one Change while the machine applies it.
type edit struct {
	m      *Machine
	now    clock.Now
	routes *allowedips.Editor[*peer.Peer]
	moved  bool // routes has changed

	// What was added to the allowed IPs, if packets may wait for it.
	gained []netip.Addr
	wider  bool // and prefixes of more than one address

	// The prefixes that are still in a member's list of allowed IPs but belong
	// to it no longer. The lists are cleaned once, at the end, so that moving n
	// prefixes takes n steps.
	lost map[*member]map[netip.Prefix]struct{}

	removed map[key.Public]removedPeer // removed by this Change
	renamed map[*member]string         // new names, set when all are known
	added   []*member
	lookAll bool
}

// removedPeer is what is kept of a peer that one Change removes and adds again.
type removedPeer struct {
	name     string
	accepted wire.TAI64N
}

// nextIdentity returns the identity that the machine will have. The same private
// key keeps the same identity, so that nothing changes (A58, B23).
func (m *Machine) nextIdentity(c *conf.Change) *identity {
	switch {
	case c.PrivateKey == nil || c.PrivateKey.Equal(m.private):
		return m.identity
	case c.PrivateKey.IsZero():
		return nil
	}
	return &identity{static: noise.NewStatic(*c.PrivateKey)}
}

// setIdentity gives the machine another private key. It no longer sends on the
// sessions of the old one; the next packet begins a handshake at once (A58).
func (e *edit) setIdentity(next *identity, private key.Private) {
	m := e.m
	if m.identity != nil {
		m.identity.retire()
	}
	m.identity = next
	m.private.Erase()
	m.private = private.Clone()
	if next != nil {
		// A57: our own key must not be a peer's.
		if p := m.members[next.static.Public()]; p != nil {
			e.remove(p)
		}
	}
	for p := range m.list.all() {
		m.dropOwn(p)
		p.remote.Erase()
		p.remote = noise.NewRemote(p.remote.Public())
		m.publish(p, peer.Sessions{Previous: newPrevious(e.now, p.shared.Sessions())})
		p.rekey = rekey{wanted: p.shared.HasStaged()}
		p.handshakeSent = 0
	}
	m.lostAll(KeyReplaced)
	e.lookAll = true
}

func (e *edit) removeAll() {
	m := e.m
	m.lostAll(AllRemoved)
	for p := range m.list.all() {
		e.recordRemoved(p, p.accepted)
		m.remove(p)
	}
	e.routes = (*Routes)(nil).Edit()
	e.moved = true
	e.lost = nil
}

// remove removes a peer and its allowed IPs.
func (e *edit) remove(p *member) {
	e.m.beforeChange(p)
	e.dropAllowed(p)
	e.recordRemoved(p, wire.TAI64N{})
	e.m.forget(p.public(), p.accepted)
	e.m.lost(p, PeerRemoved)
	e.m.remove(p)
}

func (e *edit) recordRemoved(p *member, accepted wire.TAI64N) {
	name, ok := e.renamed[p]
	if !ok {
		name = p.name
	}
	delete(e.renamed, p)
	if name == "" && accepted.IsZero() {
		return
	}
	if e.removed == nil {
		e.removed = make(map[key.Public]removedPeer)
	}
	e.removed[p.public()] = removedPeer{name, accepted}
}

// peer applies the change of one peer.
func (e *edit) peer(c *conf.PeerChange) {
	m := e.m
	p := m.members[c.PublicKey]
	switch {
	case c.Remove:
		if p != nil {
			e.remove(p)
		}
		return
	case m.identity != nil && c.PublicKey == m.PublicKey():
		return // A57
	case p == nil && c.UpdateOnly:
		return // A59
	case p == nil:
		p = e.add(c.PublicKey)
	default:
		m.beforeChange(p)
	}
	if c.Name != nil {
		e.rename(p, *c.Name)
	}
	if c.PresharedKey != nil && !c.PresharedKey.Equal(p.preshared) {
		p.preshared.Erase()
		p.preshared = c.PresharedKey.Clone() // A15: from the next handshake on
		p.presharedChanges++
	}
	e.setEndpoint(p, c)
	if c.Stamp != nil && wire.TAI64N(*c.Stamp).After(p.accepted) {
		m.accept(p, wire.TAI64N(*c.Stamp)) // A18
	}
	if c.ReplaceAllowedIPs {
		e.dropAllowed(p)
	}
	e.allow(p, c.AllowedIPs)
	if c.PersistentKeepalive != nil {
		e.setKeepalive(p, *c.PersistentKeepalive)
	}
	if c.Lent != nil {
		m.lend(e.now, p, time.Duration(*c.Lent)*time.Second)
	}
}

// add adds a peer. If the same Change has removed it, it keeps its name, and, if
// ReplacePeers removed it, its greatest stamp.
func (e *edit) add(public key.Public) *member {
	p := e.m.add(public)
	e.added = append(e.added, p)
	if l, ok := e.removed[public]; ok {
		delete(e.removed, public)
		p.accepted = l.accepted
		e.rename(p, l.name)
	}
	return p
}

// setEndpoint sets the endpoint and the name that the peer follows, and begins a handshake
// if the change wants one. An address without a name ends following.
func (e *edit) setEndpoint(p *member, c *conf.PeerChange) {
	if c.Endpoint != nil {
		e.m.setEndpointName(p, "", "", 0)
		p.use(*c.Endpoint)
		p.reported = p.shared.Endpoint().Remote
	}
	if c.EndpointName != nil {
		host, port, _ := conf.SplitEndpointName(*c.EndpointName) // Validate has checked it
		e.m.setEndpointName(p, *c.EndpointName, host, port)
	}
	if c.Endpoint == nil && !c.Initiate {
		return
	}
	// The peer that sends data for a session of another gateway is answered from the
	// address to which it sends (A52).
	from, at, strange := e.m.unknown.TakeSession(e.now.Mono, p.shared.Endpoint().Remote)
	if strange {
		p.shared.SetEndpoint(from)
	}
	if c.Initiate {
		e.initiate(p, strange && p.shared.LastReceived() < at)
	}
}

// initiate wants a handshake if there is no session with p that works. elsewhere says that
// p uses a session that is not ours.
func (e *edit) initiate(p *member, elsewhere bool) {
	k := p.shared.Sessions().Sending()
	switch {
	case k == nil || !k.Usable(e.now.Mono):
	case elsewhere:
		p.suspected = e.now.Mono
	default:
		return
	}
	p.wanted, p.attempts = true, 0
}

// setKeepalive sets the interval of persistent keepalives. If there was none and
// the interface is up, a keepalive is due at once (A41); otherwise, Up makes it
// due.
func (e *edit) setKeepalive(p *member, seconds uint16) {
	if seconds == 0 {
		p.keepaliveOwed = false
	} else if p.shared.PersistentKeepalive() == 0 && e.m.up {
		p.keepaliveOwed = true
	}
	p.shared.SetPersistentKeepalive(seconds)
}

func (m *Machine) applyMark(mark *uint32) {
	if mark == nil || *mark == m.mark {
		return
	}
	m.mark = *mark
	for p := range m.list.all() {
		p.shared.ForgetSource(p.shared.Endpoint()) // A52
	}
}

func (m *Machine) applyTunables(c conf.TunablesChange) {
	if c == (conf.TunablesChange{}) {
		return
	}
	m.tunables = c.ApplyTo(m.tunables)
	m.common.SetTiming(timing(m.tunables))
}

// publish makes the new routes visible, cleans the lists of allowed IPs, sets the
// new names, and forgets the stamps of removed peers.
func (e *edit) publish() {
	if e.moved {
		e.m.routes.Store(e.routes.Table())
		e.release()
	}
	for p, lost := range e.lost {
		p.dropLost(lost)
	}
	e.setNames()
	for public, l := range e.removed {
		e.m.forget(public, l.accepted)
	}
}

// look answers what was kept for new peers, and does what has become due, for the peers
// that the Change names or for all.
func (e *edit) look(c *conf.Change) {
	m := e.m
	for _, p := range e.added {
		m.answerKept(e.now, p)
	}
	if e.lookAll || c.Tunables != (conf.TunablesChange{}) {
		for p := range m.list.all() {
			m.look(e.now, p)
		}
		return
	}
	for i := range c.Peers {
		if p := m.members[c.Peers[i].PublicKey]; p != nil {
			m.look(e.now, p)
		}
	}
}
