package store

import (
	"net/netip"
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/internal/wire"
	"wgd/key"
)

// A Peer is what a store holds about one peer.
type Peer struct {
	Name                string // "" if it has none
	PublicKey           key.Public
	PresharedKey        key.Preshared
	AllowedIPs          []netip.Prefix
	Endpoint            string    // HOST:PORT as configured; "" if it was not
	PersistentKeepalive uint16    // seconds; 0: off
	Revoked             time.Time // the zero time: it is not
	Created, Changed    time.Time
	Seen                Seen
	Problem             string // why this peer cannot be used; "" if it can
}

// Seen is what gateways have seen of a peer. The zero value: nothing yet.
type Seen struct {
	Endpoint         netip.AddrPort // the last one
	At               time.Time
	Stamp            wire.TAI64N // the greatest received one
	RxBytes, TxBytes uint64      // of all gateways together
}

// Label returns the name of the peer, or the beginning of its public key if it has none.
func (p *Peer) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.PublicKey.Hex()[:8]
}

// Change returns the change that gives an interface this peer with all that is configured.
func (p *Peer) Change() (conf.PeerChange, error) {
	c := conf.PeerChange{
		PublicKey:           p.PublicKey,
		PresharedKey:        &p.PresharedKey,
		PersistentKeepalive: &p.PersistentKeepalive,
		ReplaceAllowedIPs:   true,
	}
	if p.Name != "" {
		c.Name = &p.Name
	}
	for _, prefix := range p.AllowedIPs {
		c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIPChange{Prefix: prefix})
	}
	if p.Endpoint == "" {
		return c, nil
	}
	endpoint, err := resolve.Parse(p.Endpoint)
	if err != nil {
		return c, err
	}
	if literal, ok := endpoint.Literal(); ok {
		c.Endpoint = &literal
		return c, nil
	}
	name, err := endpoint.Named()
	c.EndpointName = &name
	return c, err
}

// Check returns a Refusal if no interface can have this peer. It brings the allowed IPs and
// the endpoint into the form in which they are stored.
func (p *Peer) Check() error {
	change, err := p.Change()
	if err == nil {
		c := conf.Change{Peers: []conf.PeerChange{change}}
		err = c.Validate()
	}
	switch {
	case err != nil:
		return Refusef("%v", err)
	case p.PublicKey.LowOrder():
		return Refusef("peer %s: with this public key no handshake can succeed: copy it again", quote.Name(p.Label()))
	}
	for i, prefix := range p.AllowedIPs {
		p.AllowedIPs[i] = prefix.Masked()
	}
	slices.SortFunc(p.AllowedIPs, netip.Prefix.Compare)
	p.AllowedIPs = slices.Compact(p.AllowedIPs)
	switch {
	case change.Endpoint != nil:
		p.Endpoint = change.Endpoint.String()
	case change.EndpointName != nil:
		p.Endpoint = *change.EndpointName
	}
	return nil
}
