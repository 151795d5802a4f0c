package main

import (
	"bufio"
	"fmt"
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
)

func showAll(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(show.InterfaceJSON(&status, time.Now()))
	}
	w := bufio.NewWriter(c.Stdout)
	show.Interface(w, &status)
	return w.Flush()
}

func showPeer(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	peer, name, err := show.Find(&status, c.Arg("NAME"))
	if err != nil {
		return err
	}
	why := explainPeer(&status, peer)
	secrets := c.Has(optShowPSK.Long)
	if c.Has(optJSON.Long) {
		return c.PrintJSON(show.PeerJSON(peer, name, why, secrets))
	}
	w := bufio.NewWriter(c.Stdout)
	fmt.Fprintf(w, "peer: %s\n", name)
	show.Peer(w, peer, "\t", secrets)
	show.Reasons(w, &why, "\t")
	return w.Flush()
}

// explainPeer explains a peer of the interface from its status.
func explainPeer(status *conf.Status, peer *conf.PeerStatus) explain.Peer {
	facts := explain.Facts{Now: time.Now(), Status: status, Names: show.Names(status.Peers)}
	i := slices.IndexFunc(status.Peers, func(p conf.PeerStatus) bool { return p.PublicKey == peer.PublicKey })
	return facts.Peer(i)
}

func showPrivateKey(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(show.PrivateKeyJSON(&status))
	}
	text := "(none)"
	if !status.PrivateKey.IsZero() {
		text = status.PrivateKey.Base64()
	}
	_, err = fmt.Fprintf(c.Stdout, "private-key: %s\n", text)
	return err
}
