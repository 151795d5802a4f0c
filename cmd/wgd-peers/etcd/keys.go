package etcd

import (
	"encoding/base64"
	"net/netip"
	"strings"

	"wgd/internal/resolve"
	"wgd/key"
)

// The keys below the prefix; docs/fleet.md has the same list. KEY is a public key as in
// encodeKey. Each name, allowed IP and configured endpoint of a peer is a claim: a key that
// leads to the peer. peers/ and pending/ are neighbours, so that one watch has both.
const (
	peersKeys      = "peers/"        // KEY: a peer
	pendingKeys    = "pending/"      // ID: an import that is not complete; its peers are not valid yet
	importersKeys  = "importers/"    // ID: the process of that import runs; with a lease
	seenKeys       = "seen/"         // KEY: what gateways have seen of the peer
	namesKeys      = "names/"        // NAME: the KEY of the peer that has it
	addressesKeys  = "addresses/"    // ADDRESS/LENGTH: the KEY of the peer that has it
	configuredKeys = "configured/"   // ADDRESS:PORT/KEY: a peer that is configured to be there; no value
	endpointsKeys  = "endpoints/"    // ADDRESS:PORT/KEY: a peer that was seen there last; no value
	latestKeys     = "latest/"       // ADDRESS/LENGTH, a network: the address of it that was given last
	gatewayKey     = "gateway"       // what clients must know about the gateways
	ceilingKey     = "stamp_ceiling" // a time that the clocks of all gateways have not reached
	importedKey    = "imported"      // the ID of the latest complete import
)

// encodeKey returns a public key as keys have it: in base64 with - and _, and without =,
// because / separates the parts of a key.
func encodeKey(public key.Public) string { return base64.RawURLEncoding.EncodeToString(public[:]) }

// decodeKey parses what encodeKey returns.
func decodeKey(text string) (public key.Public, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(public) {
		return public, false
	}
	public = key.Public(b)
	return public, !public.IsZero()
}

// endpointText returns an endpoint as keys have it.
func endpointText(endpoint netip.AddrPort) string {
	return netip.AddrPortFrom(endpoint.Addr().Unmap(), endpoint.Port()).String()
}

// seenAt is the key that says that a peer was seen at an endpoint last, or "".
func (c *Cluster) seenAt(s *seenRecord, public string) string {
	if s == nil || s.Endpoint == "" {
		return ""
	}
	return c.prefix + endpointsKeys + s.Endpoint + "/" + public
}

// A claim is a key that leads to the peer which has a name, an allowed IP or an endpoint.
type claim struct {
	key, value string
	what       string // for messages
}

// claims returns the claims that a record requires.
func (c *Cluster) claims(r *record, public string) (list []claim) {
	if r == nil {
		return nil
	}
	if r.Name != "" {
		list = append(list, claim{c.prefix + namesKeys + r.Name, public, "name " + r.Name})
	}
	for _, text := range r.AllowedIPs {
		if p, err := netip.ParsePrefix(text); err == nil && p.Masked().String() == text {
			list = append(list, claim{c.prefix + addressesKeys + text, public, "allowed IP " + text})
		}
	}
	if e, err := resolve.Parse(r.Endpoint); err == nil {
		if literal, ok := e.Literal(); ok && literal.String() == r.Endpoint {
			list = append(list, claim{c.prefix + configuredKeys + r.Endpoint + "/" + public, "", "endpoint " + r.Endpoint})
		}
	}
	return list
}

// has reports whether the record requires a claim.
func (c *Cluster) has(r *record, public, claimed string) bool {
	for _, needed := range c.claims(r, public) {
		if needed.key == claimed {
			return true
		}
	}
	return false
}

// last is the part of a key after its last /.
func last(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }
