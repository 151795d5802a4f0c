package main

import (
	"bufio"
	"fmt"

	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
)

func showAll(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(show.InterfaceJSON(&status))
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
	secrets := c.Has(optShowPSK.Long)
	if c.Has(optJSON.Long) {
		return c.PrintJSON(show.PeerJSON(peer, name, secrets))
	}
	w := bufio.NewWriter(c.Stdout)
	fmt.Fprintf(w, "peer: %s\n", name)
	show.Peer(w, peer, "\t", secrets)
	return w.Flush()
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
