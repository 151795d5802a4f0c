package wgconf

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"wgd/key"
)

// check checks the file as a whole, after all lines are decoded.
func (dec *decoder) check() {
	dec.both(dec.given, "PrivateKey", "PrivateKeyFile")
	dec.checkInterface()
	dec.checkNames()
	dec.checkPeers()
	if change := dec.file.Change(); !dec.problems.HasErrors() {
		if err := change.Validate(); err != nil {
			dec.problems.errorf(0, "%v", err)
		}
	}
}

func (dec *decoder) checkInterface() {
	i := &dec.file.Interface
	n := &i.Network
	_, inFile := dec.given["PrivateKey"]
	_, keyFile := dec.given["PrivateKeyFile"]
	if !inFile && !keyFile && !slices.ContainsFunc(slices.Concat(n.PreUp, n.PostUp), setsKey) {
		dec.problems.warnf(0, "no PrivateKey and no PrivateKeyFile: there will be no handshake until another command sets a key")
	}
	if n.MTU != 0 && n.MTU < 1280 && slices.ContainsFunc(n.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		dec.problems.warnf(dec.given["MTU"], "MTU %d: IPv6 needs 1280 or more, so the interface will have no IPv6 address", n.MTU)
	}
	if len(n.DNS.Servers) == 0 && len(n.DNS.Route) > 0 {
		dec.problems.warnf(dec.given["DNS"], "DNS: there are domains with ~, but no name server to ask about them")
	}
}

// setsKey reports whether a hook seems to set the private key, with wg or with
// wgconfig.
func setsKey(h Hook) bool { return strings.Contains(string(h), "private-key") }

// checkNames removes names that another peer has. Because a name is in a comment, it
// never makes a file invalid.
func (dec *decoder) checkNames() {
	owners := map[string]int{}
	for i := range dec.file.Peers {
		p := &dec.file.Peers[i]
		at := dec.peers[p.PublicKey].given["Name"]
		if p.Name == "" {
			continue
		}
		if first, taken := owners[p.Name]; taken {
			dec.problems.warnf(at, "# Name = %s: ignored: the peer of line %d has this name", p.Name, first)
			p.Name = ""
			continue
		}
		owners[p.Name] = dec.peers[p.PublicKey].header
	}
}

func (dec *decoder) checkPeers() {
	var own key.Public
	if k := dec.file.Interface.PrivateKey; k != nil {
		own = k.Public()
	}
	for i := range dec.file.Peers {
		p := &dec.file.Peers[i]
		lines := dec.peers[p.PublicKey]
		_, written := lines.given["AllowedIPs"]
		switch {
		case !written:
			dec.problems.warnf(lines.header, "this peer has no AllowedIPs: no packet goes to it, and none from it is accepted")
		case len(p.AllowedIPs) > 0 && len(Subtract(p.AllowedIPs, p.ExcludedIPs)) == 0:
			dec.problems.warnf(lines.given["ExcludedIPs"], "ExcludedIPs leave nothing of the AllowedIPs: no packet goes to this peer, and none from it is accepted")
		}
		for _, e := range p.ExcludedIPs {
			if !slices.ContainsFunc(p.AllowedIPs, e.Overlaps) {
				dec.problems.warnf(lines.given["ExcludedIPs"], "ExcludedIPs %s: the AllowedIPs of this peer include none of these addresses", e)
			}
		}
		if p.PublicKey.LowOrder() {
			dec.problems.warnf(lines.given["PublicKey"], "PublicKey: with this key no handshake can succeed: copy it again")
		}
		if p.PublicKey == own && !own.IsZero() {
			dec.problems.warnf(lines.given["PublicKey"], "PublicKey: this is the interface's own key: the peer is ignored; give the public key of the other end")
		}
	}
}

// reason returns why a file cannot be read, without its path.
func reason(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}
