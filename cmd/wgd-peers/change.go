package main

import (
	"context"
	"fmt"
	"time"

	"wgd/cmd/wgd-peers/peerfile"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/cli"
)

var (
	optRename  = cli.Option{Long: "rename", Value: "NEW", Text: "Give the peer another name."}
	optRevoke  = cli.Option{Long: "revoke", Text: "Revoke the peer: no gateway takes it any more. It keeps its name and its addresses."}
	optRestore = cli.Option{Long: "restore", Text: "Undo --revoke."}
)

var setForm = cli.Form{
	Syntax:  "set PEER",
	Example: "wgd-peers set alice --persistent-keepalive=25",
	Summary: "change a peer",
	Options: []cli.Option{optRename, optAllowedIPs, optEndpoint, optKeepalive, optPresharedKey, optRevoke, optRestore, optJSON},
	Text:    []string{"What no option names stays as it is. An empty value of --endpoint removes the endpoint. With --json, the peer is printed as wgd-peers list does."},
	Run:     runSet,
}

func runSet(c *cli.Call) error {
	changes := false
	for _, o := range c.Form.Options {
		changes = changes || c.Has(o.Long) && o != optJSON
	}
	switch {
	case !changes:
		return cli.Usagef("there is nothing to change: give an option")
	case c.Has(optRevoke.Long) && c.Has(optRestore.Long):
		return cli.Usagef("--revoke and --restore exclude each other")
	}
	rename, renamed := c.Value(optRename.Long)
	if renamed {
		if err := conf.ValidName(rename); err != nil {
			return err
		}
	}
	return withStore(c, false, func(ctx context.Context, s store.Store) error {
		p, err := find(ctx, s, c.Arg("PEER"))
		if err != nil {
			return err
		}
		label := p.Label()
		err = s.Update(ctx, p.PublicKey, func(current *store.Peer) error {
			if renamed {
				current.Name = rename
			}
			switch {
			case c.Has(optRestore.Long):
				current.Revoked = time.Time{}
			case c.Has(optRevoke.Long) && current.Revoked.IsZero():
				current.Revoked = time.Now()
			}
			p = current
			if err := peerOptions(c, current); err != nil {
				return fmt.Errorf("peer %s: %w", label, err)
			}
			return nil
		})
		if err != nil || !c.Has(optJSON.Long) {
			return err
		}
		return c.PrintJSON(peerfile.RecordOf(p, false))
	})
}

var deleteForm = cli.Form{
	Syntax:  "delete PEER",
	Example: "wgd-peers delete alice",
	Summary: "remove a peer",
	Options: []cli.Option{optJSON},
	Text:    []string{"Its name and its addresses are free again. With --json, the peer is printed as it was, as wgd-peers list does."},
	Run:     runDelete,
}

func runDelete(c *cli.Call) error {
	return withStore(c, false, func(ctx context.Context, s store.Store) error {
		p, err := find(ctx, s, c.Arg("PEER"))
		if err != nil {
			return err
		}
		if err := s.Delete(ctx, p.PublicKey); err != nil || !c.Has(optJSON.Long) {
			return err
		}
		return c.PrintJSON(peerfile.RecordOf(p, false))
	})
}
