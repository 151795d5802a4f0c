package wgconf

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/resolve"
	"wgd/key"
)

// File is the meaning of a configuration file.
type File struct {
	Interface Interface
	Peers     []Peer // in the order of the file, each public key once
}

// Interface is the meaning of [Interface]. A nil pointer means that the file does not
// have the directive; the value that a hook or another command has set stays then.
type Interface struct {
	PrivateKey     *key.Private // also if it came from PrivateKeyFile
	PrivateKeyFile string       // as written; "" if the file has the key itself
	ListenPort     *uint16      // 0: any free port
	FwMark         *uint32      // 0: none
	Network        Network
}

// Network is the part of a file that configures the system rather than the tunnel.
type Network struct {
	Addresses  []netip.Prefix // with their host bits; no two that are the same to the kernel
	DNS        DNS
	MTU        int // 0: derived from the routes to the endpoints
	Table      Table
	PreUp      []Hook
	PostUp     []Hook
	PreDown    []Hook
	PostDown   []Hook
	SaveConfig bool
	NoMSSClamp bool // do not change the MSS of forwarded TCP connections
}

// DNS is the meaning of the directive DNS.
type DNS struct {
	Servers []netip.Addr
	Search  []Domain // appended to short names
	Route   []Domain // ~corp.example: the servers answer for these domains only
}

// Domain is the name of a domain without a dot at its end; "." is the root.
type Domain string

// Hook is a line for the shell, as written in the file.
type Hook string

// For returns the line with the name of the interface in place of each %i.
func (h Hook) For(name string) string { return strings.ReplaceAll(string(h), "%i", name) }

// Table is the routing table for routes. The zero value is auto: the main table, and
// for a default route a separate table with a rule.
type Table struct {
	off    bool
	number uint32
}

// Off reports whether no routes are set.
func (t Table) Off() bool { return t.off }

// Number returns the number of the table, or 0 if none is given.
func (t Table) Number() uint32 { return t.number }

// Peer is the meaning of all [Peer] sections with one public key.
type Peer struct {
	PublicKey           key.Public
	Name                string // "" if it has none
	PresharedKey        key.Preshared
	PresharedKeyFile    string           // as written; "" if the file has the key itself
	AllowedIPs          []netip.Prefix   // as written, but masked
	ExcludedIPs         []netip.Prefix   // likewise
	Endpoint            resolve.Endpoint // the zero value: none
	PersistentKeepalive uint16           // seconds; 0: off

	lost map[netip.Prefix]bool // those that a later section assigned to another peer
}

// Allowed returns the effective prefixes of the peer: AllowedIPs without ExcludedIPs,
// and without those that a later section assigns to another peer. So no two peers of a
// file have the same prefix.
func (p *Peer) Allowed() []netip.Prefix {
	return slices.DeleteFunc(Subtract(p.AllowedIPs, p.ExcludedIPs), func(a netip.Prefix) bool {
		return p.lost[a]
	})
}

// SetAllowed makes these prefixes what Allowed returns. Those that stay keep their places,
// and ExcludedIPs stays if it still says what is left out. So does what a later section
// has assigned to another peer, unless p gets it back.
func (p *Peer) SetAllowed(allowed []netip.Prefix) {
	p.lost = maps.Clone(p.lost)
	for _, a := range allowed {
		delete(p.lost, a)
	}
	whole, have := *p, p.Allowed()
	for _, a := range allowed {
		if !slices.Contains(have, a) {
			whole.AllowedIPs = append(slices.Clone(whole.AllowedIPs), a)
		}
	}
	got := whole.Allowed()
	other := slices.ContainsFunc(got, func(a netip.Prefix) bool { return !slices.Contains(allowed, a) })
	if len(p.ExcludedIPs) > 0 && len(got) == len(allowed) && !other {
		p.AllowedIPs = whole.AllowedIPs
		return
	}
	kept := slices.DeleteFunc(Subtract(whole.AllowedIPs, p.ExcludedIPs), func(a netip.Prefix) bool {
		return !p.lost[a] && !slices.Contains(allowed, a)
	})
	for _, a := range allowed {
		if !slices.Contains(kept, a) {
			kept = append(kept, a)
		}
	}
	p.AllowedIPs, p.ExcludedIPs = kept, nil
}

// Change returns the change that configures an interface, new or existing, as the file
// says. It replaces all peers and everything that a file can set for them, except the
// endpoint if the file has none: it may have been learned. A key, port or mark that the
// file does not have stays unchanged.
//
// Peers[i] of the Change is Peers[i] of f. An endpoint by name is left out: set
// EndpointName there to what Peers[i].Endpoint.Named returns.
//
// The Change shares the keys of f: erasing one erases the other.
func (f *File) Change() conf.Change {
	clamp := !f.Interface.Network.NoMSSClamp
	c := conf.Change{
		PrivateKey:   f.Interface.PrivateKey,
		ListenPort:   f.Interface.ListenPort,
		FirewallMark: f.Interface.FwMark,
		MSSClamp:     &clamp,
		ReplacePeers: true,
		Peers:        make([]conf.PeerChange, len(f.Peers)),
	}
	for i := range f.Peers {
		c.Peers[i] = f.Peers[i].change()
	}
	return c
}

func (p *Peer) change() conf.PeerChange {
	c := conf.PeerChange{
		PublicKey:           p.PublicKey,
		Name:                &p.Name,
		PresharedKey:        &p.PresharedKey,
		PersistentKeepalive: &p.PersistentKeepalive,
		ReplaceAllowedIPs:   true,
	}
	if literal, ok := p.Endpoint.Literal(); ok {
		c.Endpoint = &literal
	}
	for _, prefix := range p.Allowed() {
		c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIPChange{Prefix: prefix})
	}
	return c
}
