package main

import (
	"fmt"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/peerform"
	"wgd/internal/quote"
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
		return peer, peerform.CheckAdd(status, name, public)
	})
	if err == nil && public.LowOrder() { // A11
		c.Warnf("peer %s: it was added, but no handshake with this public key can succeed: give the one that wg-keygen --pub printed on the other side", name)
	}
	return err
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
			err = peerform.CheckRename(status, peer, rename)
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
		prefixes, err := peerform.AllowedIPs(text)
		if err != nil {
			return err
		}
		peer.AllowedIPs = prefixes
	}
	if text, given := c.Value(optKeepalive.Long); given {
		seconds, err := peerform.Keepalive(text)
		if err != nil {
			return err
		}
		peer.PersistentKeepalive = &seconds
	}
	if text, given := c.Value(optEndpoint.Long); given {
		if err := peerform.SetEndpoint(peer, text); err != nil {
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
