// Package controltest provides a simulated interface for tests of the control
// socket and its clients. It keeps a configuration like a real interface does,
// but processes no packets.
package controltest

import (
	"net/netip"
	"slices"
	"sync"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/key"
)

// A Target keeps the configuration that is applied to it. New makes one.
type Target struct {
	mu     sync.Mutex
	status conf.Status
	owners map[netip.Prefix]key.Public // the peer that has each allowed IP
	index  map[key.Public]int          // into status.Peers

	refusal error
	applied []conf.Change

	summary   conf.Summary
	summaries int
}

// New returns a Target with the given state.
func New(status conf.Status) *Target {
	t := &Target{status: status}
	if !status.PrivateKey.IsZero() {
		t.status.PublicKey = status.PrivateKey.Public()
	}
	t.reindex()
	return t
}

func (t *Target) reindex() {
	t.owners = make(map[netip.Prefix]key.Public)
	t.index = make(map[key.Public]int)
	for i, p := range t.status.Peers {
		t.index[p.PublicKey] = i
		for _, prefix := range p.AllowedIPs {
			t.owners[prefix] = p.PublicKey
		}
	}
}

// Status returns a copy of the state.
func (t *Target) Status() conf.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.PrivateKey = s.PrivateKey.Clone()
	s.Peers = slices.Clone(s.Peers)
	for i := range s.Peers {
		s.Peers[i].PresharedKey = s.Peers[i].PresharedKey.Clone()
		s.Peers[i].AllowedIPs = slices.Clone(s.Peers[i].AllowedIPs)
	}
	s.Drops, s.Counters = slices.Clone(s.Drops), slices.Clone(s.Counters)
	return s
}

// Applied returns the changes that were applied so far.
func (t *Target) Applied() []conf.Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.applied)
}

// Set changes the state without the control socket, for example as traffic does.
func (t *Target) Set(f func(*conf.Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.status)
	t.reindex()
}

// Refuse makes every Apply return err; with nil, Apply works again.
func (t *Target) Refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusal = err
}

// Apply applies the change or, if it returns an error, nothing of it.
func (t *Target) Apply(c conf.Change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refusal != nil {
		return t.refusal
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if err := t.checkNames(&c); err != nil {
		return err
	}
	c = cloneKeys(c)
	t.applied = append(t.applied, c)
	t.applyInterface(&c)
	for i := range c.Peers {
		t.applyPeer(&c.Peers[i])
	}
	if !t.status.PrivateKey.IsZero() {
		t.removePeers(func(p *conf.PeerStatus) bool { return p.PublicKey == t.status.PublicKey }) // A57
	}
	return nil
}

// cloneKeys returns c with clones of its keys, because the caller of Apply erases
// those in c.
func cloneKeys(c conf.Change) conf.Change {
	if c.PrivateKey != nil {
		k := c.PrivateKey.Clone()
		c.PrivateKey = &k
	}
	c.Peers = slices.Clone(c.Peers)
	for i := range c.Peers {
		if p := &c.Peers[i]; p.PresharedKey != nil {
			k := p.PresharedKey.Clone()
			p.PresharedKey = &k
		}
	}
	return c
}

func (t *Target) applyInterface(c *conf.Change) {
	s := &t.status
	if c.PrivateKey != nil {
		s.PrivateKey, s.PublicKey = *c.PrivateKey, key.Public{}
		if !s.PrivateKey.IsZero() {
			s.PublicKey = s.PrivateKey.Public()
		}
	}
	if c.ListenPort != nil {
		s.ListenPort = *c.ListenPort
	}
	if c.FirewallMark != nil {
		s.FirewallMark = *c.FirewallMark
	}
	if c.MSSClamp != nil {
		s.NoMSSClamp = !*c.MSSClamp
	}
	s.Tunables = c.Tunables.ApplyTo(s.Tunables)
	if c.ReplacePeers {
		kept := make(map[key.Public]bool, len(c.Peers))
		for i := range c.Peers {
			kept[c.Peers[i].PublicKey] = true
		}
		t.removePeers(func(p *conf.PeerStatus) bool { return !kept[p.PublicKey] })
	}
}

// removePeers removes the peers for which gone returns true.
func (t *Target) removePeers(gone func(*conf.PeerStatus) bool) {
	before := len(t.status.Peers)
	t.status.Peers = slices.DeleteFunc(t.status.Peers, func(p conf.PeerStatus) bool { return gone(&p) })
	if len(t.status.Peers) != before {
		t.reindex()
	}
}

func (t *Target) applyPeer(c *conf.PeerChange) {
	i, known := t.index[c.PublicKey]
	switch {
	case c.Remove:
		if known {
			t.removePeers(func(p *conf.PeerStatus) bool { return p.PublicKey == c.PublicKey })
		}
		return
	case !known && c.UpdateOnly:
		return
	case !known:
		i = len(t.status.Peers)
		t.index[c.PublicKey] = i
		t.status.Peers = append(t.status.Peers, conf.PeerStatus{PublicKey: c.PublicKey})
	}
	p := &t.status.Peers[i]
	if c.Name != nil {
		p.Name = *c.Name
	}
	if c.PresharedKey != nil {
		p.PresharedKey = *c.PresharedKey
	}
	if c.Endpoint != nil {
		p.Endpoint, p.EndpointName = *c.Endpoint, ""
	}
	if c.EndpointName != nil {
		p.EndpointName = *c.EndpointName
	}
	if c.PersistentKeepalive != nil {
		p.PersistentKeepalive = *c.PersistentKeepalive
	}
	t.applyAllowedIPs(p, c)
}

func (t *Target) applyAllowedIPs(p *conf.PeerStatus, c *conf.PeerChange) {
	if c.ReplaceAllowedIPs {
		for _, prefix := range p.AllowedIPs {
			delete(t.owners, prefix)
		}
		p.AllowedIPs = nil
	}
	for _, a := range c.AllowedIPs {
		prefix := a.Prefix.Masked()
		owner, owned := t.owners[prefix]
		mine := owned && owner == p.PublicKey
		switch {
		case a.Remove && mine:
			delete(t.owners, prefix)
			removePrefix(p, prefix)
		case a.Remove || mine:
		default:
			if owned {
				removePrefix(&t.status.Peers[t.index[owner]], prefix) // A50
			}
			t.owners[prefix] = p.PublicKey
			p.AllowedIPs = append(p.AllowedIPs, prefix)
		}
	}
}

func removePrefix(p *conf.PeerStatus, prefix netip.Prefix) {
	p.AllowedIPs = slices.DeleteFunc(p.AllowedIPs, func(q netip.Prefix) bool { return q == prefix })
}

// checkNames returns an error if the change gives a peer the name of another peer
// that keeps its name.
func (t *Target) checkNames(c *conf.Change) error {
	changed := make(map[key.Public]bool)
	kept := make(map[key.Public]bool)
	for i := range c.Peers {
		p := &c.Peers[i]
		kept[p.PublicKey] = true
		if p.Name != nil || p.Remove {
			changed[p.PublicKey] = true
		}
	}
	owners := make(map[string]bool)
	for i := range t.status.Peers {
		p := &t.status.Peers[i]
		if p.Name != "" && !changed[p.PublicKey] && (!c.ReplacePeers || kept[p.PublicKey]) {
			owners[p.Name] = true
		}
	}
	for i := range c.Peers {
		if p := &c.Peers[i]; p.Name != nil && !p.Remove && owners[*p.Name] {
			return invalid.Errorf("peer %s: another peer has this name: choose another", *p.Name)
		}
	}
	return nil
}
