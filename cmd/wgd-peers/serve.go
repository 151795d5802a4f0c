package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"wgd/cmd/wgd-peers/serve"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/sys/process"
)

var serveForm = cli.Form{
	Syntax:  "serve INTERFACE...",
	Example: "wgd-peers serve wg0",
	Summary: "give interfaces the peers of the store that talk to them",
	Text: []string{
		"It stays in the foreground until SIGTERM, and makes the store if there is none. When an initiation arrives at an interface from a peer that the interface does not have, the peer is looked up in the store, and the interface gets it: " +
			"the handshake goes on, and the client notices nothing. What the store does not have, or has revoked, is refused. A peer that is changed in the store is changed in the interface, and one that is revoked or deleted is out within a second. " +
			"Where peers were seen is written to the store, at most once a second. Peers that were configured in another way are never changed.",
		"The interfaces may come later, and their daemons may be restarted. If the store fails, peers that an interface has go on, and others are refused until it works again. When this program ends, the interfaces keep their peers.",
	},
	Run: runServe,
}

func runServe(c *cli.Call) error {
	names := c.Args("INTERFACE")
	for i, name := range names {
		if err := conf.ValidInterfaceName(name); err != nil {
			return err
		}
		for _, other := range names[:i] {
			if other == name {
				return cli.Usagef("%s is given twice", name)
			}
		}
	}
	manager, err := process.FindNotifySocket()
	if err != nil {
		return err
	}
	return withStore(c, true, func(ctx context.Context, s store.Store) error {
		log := slog.New(slog.NewTextHandler(process.LogFile(os.Stderr), nil))
		log.Info(fmt.Sprintf("serving %s from the store %s", strings.Join(names, ", "), location(c)))
		server := serve.New(s, log, names, serve.Socket)
		if err := manager.Ready("serving " + strings.Join(names, ", ")); err != nil {
			log.Warn(err.Error())
		}
		server.Run(ctx)
		log.Info("ended: the interfaces keep their peers")
		return nil
	})
}
