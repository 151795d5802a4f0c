package wgconf

import (
	"net/netip"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/resolve"
	"wgd/key"
)

// File is what a configuration file means.
type File struct {
	Interface Interface
	Peers     []Peer // in the order of the file, each public key once
}

// Interface is what [Interface] says. A nil pointer means that the file does
// not say it; what a hook or another command set stays then.
type Interface struct {
	PrivateKey     *key.Private // also if it came from PrivateKeyFile
	PrivateKeyFile string       // as it is written; "" if the key itself stands in the file
	ListenPort     *uint16      // 0: any that is free
	FwMark         *uint32      // 0: none
	Network        Network
}

// Network is what a file wants of the system rather than of the tunnel.
type Network struct {
	Addresses  []netip.Prefix // with their host bits; no two that the kernel takes for one
	DNS        DNS
	MTU        int // 0: worked out from the route to the endpoints
	Table      Table
	PreUp      []Hook
	PostUp     []Hook
	PreDown    []Hook
	PostDown   []Hook
	SaveConfig bool
	NoMSSClamp bool // the MSS of forwarded TCP connections stays as it is
}

// DNS is what the line DNS says.
type DNS struct {
	Servers []netip.Addr
	Search  []Domain // appended to short names
	Route   []Domain // ~corp.example: the servers answer for these domains only
}

// Domain is the name of a domain without a dot at its end; "." is the root.
type Domain string

// Hook is a line for the shell, as it stands in the file.
type Hook string

// For is the line with the name of the interface in place of each %i.
func (h Hook) For(name string) string { return strings.ReplaceAll(string(h), "%i", name) }

// Table is where routes go. The zero value is auto: the main table, and for a
// default route a table of its own with a rule.
type Table struct {
	off    bool
	number uint32
}

// Off reports whether no routes are set.
func (t Table) Off() bool { return t.off }

// Number is the table that was named, or 0 if none was.
func (t Table) Number() uint32 { return t.number }

// Peer is what all [Peer] sections with one public key say.
type Peer struct {
	PublicKey           key.Public
	Name                string // "" if it has none
	PresharedKey        key.Preshared
	PresharedKeyFile    string           // as it is written; "" if the key itself stands in the file
	AllowedIPs          []netip.Prefix   // as they are written, but masked
	ExcludedIPs         []netip.Prefix   // likewise
	Endpoint            resolve.Endpoint // the zero value: none
	PersistentKeepalive uint16           // seconds; 0: off

	lost map[netip.Prefix]bool // those of Allowed that a later section gave to another peer
}

// Allowed are the prefixes that the peer really has: AllowedIPs without
// ExcludedIPs, and without what a later section of the file gives to another
// peer. So no two peers of a file have the same prefix.
func (p *Peer) Allowed() []netip.Prefix {
	return slices.DeleteFunc(Subtract(p.AllowedIPs, p.ExcludedIPs), func(a netip.Prefix) bool {
		return p.lost[a]
	})
}

// Change makes an interface what the file says: a new one, or one that exists.
// All peers are replaced, and for each of them all that a file can say, but the
// endpoint if the file has none: it may have been learned. A key, a port and a
// mark that the file does not have stay as they are.
//
// Peers[i] of the Change is Peers[i] of f. An endpoint by name is left out:
// resolve Peers[i].Endpoint, and set it there.
//
// The Change has handles of the keys of f: to erase one erases the other.
func (f *File) Change() conf.Change {
	c := conf.Change{
		PrivateKey:   f.Interface.PrivateKey,
		ListenPort:   f.Interface.ListenPort,
		FirewallMark: f.Interface.FwMark,
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
