package core

import (
	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/key"
)

// checkNames returns an error if two peers would have the same name after the
// whole change. Two peers may swap their names.
func (m *Machine) checkNames(c *conf.Change, next *identity) error {
	after := m.namesAfter(c, next)
	owners := make(map[string]key.Public, len(after))
	for public, name := range after {
		if name == "" {
			continue
		}
		if _, taken := owners[name]; taken {
			return nameTaken(name)
		}
		owners[name] = public
	}
	if c.ReplacePeers {
		return nil
	}
	for name, public := range owners {
		holder := m.names[name]
		if holder == nil || holder.public() == public || ours(next, holder.public()) {
			continue
		}
		if _, changes := after[holder.public()]; !changes {
			return nameTaken(name)
		}
	}
	return nil
}

func nameTaken(name string) error {
	return invalid.Errorf("peer %s: another peer has this name: choose another, or rename that one first", name)
}

// namesAfter returns the names that the peers in the change will have: "" for a
// peer that will have no name or not exist. It returns nil if the change sets no
// names, so that no conflict is possible.
func (m *Machine) namesAfter(c *conf.Change, next *identity) map[key.Public]string {
	named := false
	for i := range c.Peers {
		named = named || c.Peers[i].Name != nil
	}
	if !named {
		return nil
	}
	names := make(map[key.Public]string) // of peers that exist or existed
	exists := make(map[key.Public]bool)
	for i := range c.Peers {
		p := &c.Peers[i]
		public := p.PublicKey
		if _, seen := exists[public]; !seen {
			old := m.members[public]
			exists[public] = old != nil && !c.ReplacePeers
			if old != nil {
				names[public] = old.name
			}
		}
		switch {
		case p.Remove, ours(next, public):
			exists[public] = false
		case p.UpdateOnly && !exists[public]:
		default:
			exists[public] = true
			if p.Name != nil {
				names[public] = *p.Name
			}
		}
	}
	for public, there := range exists {
		if !there {
			names[public] = ""
		}
	}
	return names
}

// ours reports whether a public key is our own, and so cannot be a peer's (A57).
func ours(id *identity, public key.Public) bool {
	return id != nil && id.static.Public() == public
}

// rename records the new name of p; "" means none.
func (e *edit) rename(p *member, name string) {
	if e.renamed == nil {
		e.renamed = make(map[*member]string)
	}
	e.renamed[p] = name
}

// setNames sets the new names. It first removes all old ones, because peers may
// exchange their names.
func (e *edit) setNames() {
	m := e.m
	for p := range e.renamed {
		if m.names[p.name] == p {
			delete(m.names, p.name)
		}
	}
	for p, name := range e.renamed {
		p.name = name
		if name != "" {
			m.names[name] = p
		}
	}
}
