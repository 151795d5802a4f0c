package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/key"
)

func addPeer(c *cli.Call) error {
	name := c.Arg("NAME")
	if err := conf.ValidName(name); err != nil {
		if quote.LooksLikeKey(name) { // the name and the key were swapped
			return cli.Usagef("there is a key in place of the name: give the name first, then the public key")
		}
		return err
	}
	public, err := key.ParsePublic(c.Arg("PUBKEY"))
	if err != nil {
		return fmt.Errorf("peer %s: %w", quote.Name(name), err)
	}
	peer := conf.PeerChange{PublicKey: public, Name: &name}
	err = changePeer(c, name, func(status *conf.Status) (conf.PeerChange, error) {
		return peer, checkAdd(status, name, public)
	})
	if err == nil && public.LowOrder() { // A11
		c.Warnf("peer %s: it was added, but no handshake with this public key can succeed: give the one that wg-keygen --pub printed on the other side", name)
	}
	return err
}

// checkAdd returns why a peer cannot be added, or nil.
func checkAdd(status *conf.Status, name string, public key.Public) error {
	if public == status.PublicKey && !status.PrivateKey.IsZero() {
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

func setPeer(c *cli.Call) error {
	rename, renamed := c.Value(optRename.Long)
	if renamed {
		if err := conf.ValidName(rename); err != nil {
			return err
		}
	} else if !changesAnything(c) {
		return cli.Usagef("there is nothing to change: give an option")
	}
	name := c.Arg("NAME")
	return changePeer(c, name, func(status *conf.Status) (conf.PeerChange, error) {
		peer, _, err := show.Find(status, name)
		if err != nil {
			return conf.PeerChange{}, err
		}
		change := conf.PeerChange{PublicKey: peer.PublicKey, UpdateOnly: true}
		_, change.ReplaceAllowedIPs = c.Value(optAllowedIPs.Long)
		if renamed {
			change.Name = &rename
			err = checkRename(status, peer, rename)
		}
		return change, err
	})
}

func changesAnything(c *cli.Call) bool {
	for _, o := range c.Form.Options {
		if c.Has(o.Long) {
			return true
		}
	}
	return false
}

func checkRename(status *conf.Status, peer *conf.PeerStatus, name string) error {
	for i := range status.Peers {
		if p := &status.Peers[i]; p.Name == name && p.PublicKey != peer.PublicKey {
			return fmt.Errorf("peer %s: %s has another peer with this name: choose another name", name, status.Name)
		}
	}
	return nil
}

func deletePeer(c *cli.Call) error {
	return withInterface(c, func(client *control.Client, status *conf.Status) error {
		peer, _, err := show.Find(status, c.Arg("NAME"))
		if err != nil {
			return err
		}
		return client.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.PublicKey, Remove: true}}})
	})
}

// changePeer applies the options of the call to the peer that find returns. It
// calls find first, so that an error in the peer's name comes first.
func changePeer(c *cli.Call, name string, find func(*conf.Status) (conf.PeerChange, error)) error {
	return withInterface(c, func(client *control.Client, status *conf.Status) error {
		peer, err := find(status)
		if err != nil {
			return err
		}
		if err := peerOptions(c, &peer); err != nil {
			return fmt.Errorf("peer %s: %w", name, err)
		}
		return client.Apply(conf.Change{Peers: []conf.PeerChange{peer}})
	})
}

// withInterface calls f with a connection to the interface, and its status.
func withInterface(c *cli.Call, f func(*control.Client, *conf.Status) error) error {
	client, err := control.Dial(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	defer client.Close()
	status, err := client.Status()
	if err != nil {
		return err
	}
	return f(client, &status)
}

// peerOptions adds the options of the call to the change.
func peerOptions(c *cli.Call, peer *conf.PeerChange) error {
	if path, given := c.Value(optPresharedKey.Long); given {
		preshared, err := readPresharedKey(c, path)
		if err != nil {
			return err
		}
		peer.PresharedKey = &preshared
	}
	if text, given := c.Value(optAllowedIPs.Long); given {
		prefixes, err := parseAllowedIPs(text)
		if err != nil {
			return err
		}
		peer.AllowedIPs = prefixes
	}
	if text, given := c.Value(optKeepalive.Long); given {
		seconds, err := parseKeepalive(text)
		if err != nil {
			return err
		}
		peer.PersistentKeepalive = &seconds
	}
	if text, given := c.Value(optEndpoint.Long); given {
		if err := setEndpoint(peer, text); err != nil {
			return err
		}
	}
	return nil
}

func readPresharedKey(c *cli.Call, path string) (key.Preshared, error) {
	text, err := readKeyFile(c, path)
	if err != nil || text == "" {
		return key.Preshared{}, err
	}
	preshared, err := key.ParsePreshared(text)
	if err != nil {
		return key.Preshared{}, fmt.Errorf("%s: %w", path, err)
	}
	return preshared, nil
}

// parseAllowedIPs parses prefixes separated by commas. The empty string means none.
func parseAllowedIPs(text string) ([]conf.AllowedIPChange, error) {
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

func parseKeepalive(s string) (uint16, error) {
	if s == "off" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("persistent-keepalive %s: give 1 to 65535 seconds, or off", quote.Text(s))
	}
	return uint16(n), nil
}

// setEndpoint sets the endpoint. The daemon looks up a name, so that no command and no
// packet waits for a name server (A63).
func setEndpoint(peer *conf.PeerChange, text string) error {
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
