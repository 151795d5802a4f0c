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
	"wgd/internal/netsetup"
)

func showAll(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		facts := explainFacts(&status)
		return c.PrintJSON(show.InterfaceJSON(&facts))
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
	facts := explainFacts(&status)
	i := slices.IndexFunc(status.Peers, func(p conf.PeerStatus) bool { return p.PublicKey == peer.PublicKey })
	why := facts.Peer(i)
	why.Reasons = append(facts.Shared(i), why.Reasons...)
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

// explainFacts are those from which wgd explain explains an interface, but for what ICMP
// says: for that, wgd explain sends datagrams.
func explainFacts(status *conf.Status) explain.Facts {
	return explain.Facts{Now: time.Now(), Status: status, Names: show.Names(status.Peers), Host: explain.Host(netsetup.Diagnose(status))}
}

func showPrivateKey(c *cli.Call) error {
	status, err := control.StatusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if status.KeysWithheld {
		return fmt.Errorf("%s: this user may read the state, but not the private key: do this as root", status.Name)
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
