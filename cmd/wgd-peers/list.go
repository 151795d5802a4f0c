package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"wgd/cmd/wgd-peers/peerfile"
	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/explain"
	"wgd/internal/quote"
)

var listForm = cli.Form{
	Syntax:  "list [PEER...]",
	Example: "wgd-peers list 10.2.0.42",
	Summary: "show peers",
	Options: []cli.Option{optJSON},
	Text: []string{
		"Without PEER, each peer of the store has a line. A PEER may also be an address inside the tunnel, whose peer is the one with the longest prefix of it, " +
			"or ADDRESS:PORT, whose peer is the one that was seen there last; it is shown with all that the store holds about it.",
		"The JSON is a list of objects with the fields `name` (null: none), `public_key`, `has_preshared_key`, `allowed_ips`, `endpoint` (as configured, or null), `persistent_keepalive`, " +
			"`revoked` (seconds since 1970, or null), `created`, `changed`, `last_endpoint`, `last_seen`, `stamp` (the greatest received TAI64N in hexadecimal, or null), `rx_bytes`, `tx_bytes`, " +
			"and `problem` (why the peer cannot be used, or null). Later versions may add fields.",
	},
	Run: runList,
}

func runList(c *cli.Call) error {
	return withStore(c, false, func(ctx context.Context, s store.Store) error {
		peers, describe := s.All(ctx), printLine
		if wanted := c.Args("PEER"); len(wanted) > 0 {
			peers, describe = searchAll(ctx, s, wanted), printDetails
		}
		if c.Has(optJSON.Long) {
			return peerfile.WriteJSON(c.Stdout, peers, false)
		}
		w := bufio.NewWriter(c.Stdout)
		for p, err := range peers {
			if err != nil {
				w.Flush()
				return err
			}
			describe(w, p, time.Now())
		}
		return w.Flush()
	})
}

// searchAll returns the peers that words lead to.
func searchAll(ctx context.Context, s store.Store, wanted []string) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		for _, word := range wanted {
			p, err := search(ctx, s, word)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// printLine prints a peer in one line.
func printLine(w io.Writer, p *store.Peer, now time.Time) {
	name := p.Name
	if name == "" {
		name = "(none)"
	}
	fmt.Fprintf(w, "%-20s %s %s: %s\n", name, p.PublicKey, orNone(join(p.AllowedIPs)), state(p, now))
}

// state says in a few words how a peer is.
func state(p *store.Peer, now time.Time) string {
	switch {
	case p.Problem != "":
		return "cannot be used: " + p.Problem
	case !p.Revoked.IsZero():
		return "revoked " + explain.Ago(now.Sub(p.Revoked))
	case p.Seen.At.IsZero():
		return "never seen"
	}
	return "seen " + explain.Ago(now.Sub(p.Seen.At))
}

// printDetails prints all that the store holds about a peer, but no secret.
func printDetails(w io.Writer, p *store.Peer, now time.Time) {
	preshared := "(none)"
	if !p.PresharedKey.IsZero() {
		preshared = "(hidden)"
	}
	keepalive := "off"
	if p.PersistentKeepalive != 0 {
		keepalive = fmt.Sprint(p.PersistentKeepalive)
	}
	var seen string
	if p.Seen.Endpoint.IsValid() {
		seen = p.Seen.Endpoint.String()
	}
	fmt.Fprintf(w, "peer: %s\n", p.Label())
	for _, line := range [][2]string{
		{"state", state(p, now)},
		{"public-key", p.PublicKey.Base64()},
		{"preshared-key", preshared},
		{"allowed-ips", orNone(join(p.AllowedIPs))},
		{"endpoint", orNone(quote.Name(p.Endpoint))},
		{"persistent-keepalive", keepalive},
		{"last-endpoint", orNone(seen)},
		{"transfer", fmt.Sprintf("%d bytes received, %d bytes sent", p.Seen.RxBytes, p.Seen.TxBytes)},
		{"created", p.Created.Format(time.DateTime)},
		{"changed", p.Changed.Format(time.DateTime)},
	} {
		fmt.Fprintf(w, "\t%s: %s\n", line[0], line[1])
	}
}
