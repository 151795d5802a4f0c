// Package peerform has the settings of a peer as users write them, for the commands and
// pages that add and change peers.
package peerform

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/key"
)

// CheckAdd returns why a peer cannot be added, or nil.
func CheckAdd(status *conf.Status, name string, public key.Public) error {
	if public == status.PublicKey && !public.IsZero() {
		return fmt.Errorf("peer %s: this public key is %s's own: give that of the other side", name, status.Name) // A57
	}
	names := show.Names(status.Peers)
	for i := range status.Peers {
		switch p := &status.Peers[i]; {
		case p.Name == name:
			return fmt.Errorf("peer %s: %s has a peer with this name: change it with `wgconfig %s set peer %s`, or choose another name",
				name, status.Name, status.Name, name)
		case p.PublicKey == public:
			return fmt.Errorf("peer %s: %s already has this public key, as peer %s: change that peer with `wgconfig %s set peer %s`",
				name, status.Name, names[i], status.Name, names[i])
		}
	}
	return nil
}

// CheckRename returns why a peer cannot have a name, or nil.
func CheckRename(status *conf.Status, peer *conf.PeerStatus, name string) error {
	for i := range status.Peers {
		if p := &status.Peers[i]; p.Name == name && p.PublicKey != peer.PublicKey {
			return fmt.Errorf("peer %s: %s has another peer with this name: choose another name", name, status.Name)
		}
	}
	return nil
}

// AllowedIPs parses prefixes separated by commas. The empty string means none.
func AllowedIPs(text string) ([]conf.AllowedIPChange, error) {
	if text == "" {
		return nil, nil
	}
	var changes []conf.AllowedIPChange
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			return nil, errors.New("allowed-ips: there is nothing before or after a comma: remove the comma")
		}
		prefix, err := parsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("allowed-ips %s: %w", quote.Text(item), err)
		}
		changes = append(changes, conf.AllowedIPChange{Prefix: prefix})
	}
	return changes, nil
}

// parsePrefix parses IP/CIDR. Host bits are masked (A50).
func parsePrefix(s string) (netip.Prefix, error) {
	address, length, ok := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil || addr.Zone() != "":
		return netip.Prefix{}, errors.New("not an IP address: write IP/CIDR")
	case !ok:
		return netip.Prefix{}, fmt.Errorf("no prefix length: write %s/%d for this one address", address, addr.BitLen())
	}
	bits, err := strconv.ParseUint(length, 10, 64)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("not a prefix length: write IP/CIDR")
	case bits > uint64(addr.BitLen()):
		return netip.Prefix{}, fmt.Errorf("prefix length over %d", addr.BitLen())
	}
	return netip.PrefixFrom(addr, int(bits)).Masked(), nil
}

// Keepalive parses seconds, or off.
func Keepalive(s string) (uint16, error) {
	if s == "off" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("persistent-keepalive %s: give 1 to 65535 seconds, or off", quote.Text(s))
	}
	return uint16(n), nil
}

// SetEndpoint sets the endpoint. The daemon looks up a name, so that no command and no
// packet waits for a name server (A63).
func SetEndpoint(peer *conf.PeerChange, text string) error {
	endpoint, err := resolve.Parse(text)
	if err != nil {
		return err
	}
	if literal, ok := endpoint.Literal(); ok {
		peer.Endpoint = &literal
		return nil
	}
	name, err := endpoint.Named()
	if err != nil {
		return err
	}
	if _, _, err := conf.SplitEndpointName(name); err != nil {
		return err
	}
	peer.EndpointName = &name
	return nil
}
