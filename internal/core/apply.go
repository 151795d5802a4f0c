package core

import (
	"net/netip"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/clock"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// Apply makes the whole change, or on an error nothing of it (A59). The data
// plane sees all moves of allowed IPs at once (A50).
func (m *Machine) Apply(now clock.Now, c conf.Change) error {
	if err := c.Validate(); err != nil {
		return err
	}
	next := m.nextIdentity(&c)
	if err := m.checkNames(&c, next); err != nil {
		return err
	}
	// From here on nothing fails.
	e := &edit{m: m, now: now, routes: m.routes.Load().Edit()}
	if next != m.identity {
		e.identify(next, *c.PrivateKey)
	}
	if c.ReplacePeers {
		e.removeAll()
	}
	for i := range c.Peers {
		e.peer(&c.Peers[i])
	}
	e.publish()
	if c.ListenPort != nil {
		m.port = *c.ListenPort
	}
	m.applyMark(c.FirewallMark)
	m.applyTunables(c.Tunables)
	e.look(&c)
	return nil
}

// edit is one Change on its way into the machine.
type edit struct {
	m      *Machine
	now    clock.Now
	routes *allowedips.Editor[*peer.Peer]
	moved  bool // routes has changed

	// What stands in a member's list of allowed IPs and is no longer its own.
	// The lists are cleaned once, at the end: moving n prefixes takes n steps.
	lost map[*member]map[netip.Prefix]struct{}

	left    map[key.Public]leaver // removed by this Change
	renamed map[*member]string    // new names, given when all are known
	lookAll bool
}

// leaver is what outlives a peer that is removed and added again in one Change.
type leaver struct {
	name     string
	accepted wire.TAI64N
}

// nextIdentity is what the machine's identity is going to be. The same private
// key again is the same identity: nothing changes (A58, B23).
func (m *Machine) nextIdentity(c *conf.Change) *identity {
	switch {
	case c.PrivateKey == nil || c.PrivateKey.Equal(m.private):
		return m.identity
	case c.PrivateKey.IsZero():
		return nil
	}
	return &identity{static: noise.NewStatic(*c.PrivateKey)}
}

// identify makes the machine speak for another private key. What was agreed
// with the old one is not sent on any more; the next packet begins a handshake
// at once (A58).
func (e *edit) identify(next *identity, private key.Private) {
	m := e.m
	if m.identity != nil {
		m.identity.retire()
	}
	m.identity = next
	m.private.Erase()
	m.private = private.Clone()
	if next != nil {
		// A57: we are no peer of ourselves.
		if p := m.members[next.static.Public()]; p != nil {
			e.remove(p)
		}
	}
	for p := m.first; p != nil; p = p.after {
		m.dropOwn(p)
		p.remote.Erase()
		p.remote = noise.NewRemote(p.remote.Public())
		m.publish(p, peer.Sessions{Previous: second(e.now, p.shared.Sessions())})
		p.pursuit = pursuit{wanted: p.shared.HasStaged()}
		p.handshakeSent = 0
	}
	e.lookAll = true
}

func (e *edit) removeAll() {
	m := e.m
	for m.first != nil {
		e.leave(m.first, m.first.accepted)
		m.remove(m.first)
	}
	e.routes = (*Routes)(nil).Edit()
	e.moved = true
	e.lost = nil
}

// remove takes one peer and its allowed IPs away.
func (e *edit) remove(p *member) {
	e.dropAllowed(p)
	e.leave(p, wire.TAI64N{})
	e.m.forget(p.public(), p.accepted)
	e.m.remove(p)
}

func (e *edit) leave(p *member, accepted wire.TAI64N) {
	name, ok := e.renamed[p]
	if !ok {
		name = p.name
	}
	delete(e.renamed, p)
	if name == "" && accepted.IsZero() {
		return
	}
	if e.left == nil {
		e.left = make(map[key.Public]leaver)
	}
	e.left[p.public()] = leaver{name, accepted}
}

// peer applies what the Change says about one peer.
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
	}
	if c.Name != nil {
		e.rename(p, *c.Name)
	}
	if c.PresharedKey != nil && !c.PresharedKey.Equal(p.preshared) {
		p.preshared.Erase()
		p.preshared = c.PresharedKey.Clone() // A15: from the next handshake on
		p.presharedChanges++
	}
	if c.Endpoint != nil {
		p.shared.SetEndpoint(wire.NewEndpoint(*c.Endpoint, netip.Addr{}, 0))
	}
	if c.ReplaceAllowedIPs {
		e.dropAllowed(p)
	}
	e.allow(p, c.AllowedIPs)
	if c.PersistentKeepalive != nil {
		e.persist(p, *c.PersistentKeepalive)
	}
}

// add makes a peer; one that was removed by the same Change keeps its name,
// and if it went only to make room for the new list, what tells its replays.
func (e *edit) add(public key.Public) *member {
	p := e.m.add(public)
	if l, ok := e.left[public]; ok {
		delete(e.left, public)
		p.accepted = l.accepted
		e.rename(p, l.name)
	}
	return p
}

// persist sets the persistent keepalive. From none to some while up, one is
// owed at once (A41); while down, Up owes it.
func (e *edit) persist(p *member, seconds uint16) {
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
	for p := m.first; p != nil; p = p.after {
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

// publish makes the new routes visible, cleans the lists behind them, and
// forgets for good who has left.
func (e *edit) publish() {
	if e.moved {
		e.m.routes.Store(e.routes.Table())
	}
	for p, lost := range e.lost {
		p.disown(lost)
	}
	e.giveNames()
	for public, l := range e.left {
		e.m.forget(public, l.accepted)
	}
}

// look does what has become due: to those that the Change names, or to all.
func (e *edit) look(c *conf.Change) {
	m := e.m
	if e.lookAll || c.Tunables != (conf.TunablesChange{}) {
		for p := m.first; p != nil; p = p.after {
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
