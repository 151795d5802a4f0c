package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"wgd/cmd/wgd-peers/serve"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
)

const (
	defaultLent      = 300 // a session lasts 180 seconds
	maxLent          = 86400
	defaultLentLimit = 100000
)

var optLent = cli.Option{Long: "lent", Value: "SECONDS", Text: "Have an interface return a peer that has had no session for so long (1 to 86400); the default is 300. It gets the peer again when that is heard again."}

var optLentLimit = cli.Option{Long: "lent-limit", Value: "NUMBER", Text: "Give an interface no more peers than this: if more are heard, those that have sent nothing for longest leave, and come again when they are heard. The default is 100000, for which the daemon takes about 200 MB of memory; 0 means any number."}

// routeProtocol is the protocol number of our routes, the letter w: nobody else's in
// /etc/iproute2/rt_protos.
const routeProtocol = 119

var optRoutes = cli.Option{Long: "routes", Value: "TABLE", Text: "Add a route for each allowed IP of the peers of the store that an interface has, towards the interface, to the routing table with this number (1 to 4294967295, not 255), with the protocol number 119, for BIRD or FRR to announce. This needs root or CAP_NET_ADMIN."}

var optMetrics = cli.Option{Long: "metrics", Value: "ADDRESS:PORT", Text: "Serve metrics for Prometheus on this address, as http://ADDRESS:PORT" + serve.MetricsPath + ". Whoever can connect can read them."}

var serveForm = cli.Form{
	Syntax:  "serve INTERFACE...",
	Example: "wgd-peers serve wg0",
	Summary: "give interfaces the peers of the store that talk to them",
	Options: []cli.Option{optLent, optLentLimit, optRoutes, optMetrics},
	Text: []string{
		"It stays in the foreground until SIGTERM, and makes the store if there is none. When an initiation arrives at an interface from a peer that the interface does not have, the peer is looked up in the store, and the interface gets it: " +
			"the handshake goes on, and the client notices nothing. What the store does not have, or has revoked, is refused. A peer that is changed in the store is changed in the interface, and one that is revoked or deleted is out within a second. " +
			"Where peers were seen is written to the store, at most once a second. " +
			"A peer that is heard at a gateway that does not know its session is called, if the store has seen it there. Packets to the inner address of a peer bring it, too. An interface returns a peer that has had no session for 300 seconds. Peers that were configured in another way are not changed; but a lent peer takes an allowed IP that it shares with one of them, and what you set by hand may take 10 seconds to be known.",
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
	options, err := serveOptions(c)
	if err != nil {
		return err
	}
	manager, err := process.FindNotifySocket()
	if err != nil {
		return err
	}
	end, err := openRoutes(c, &options)
	if err != nil {
		return err
	}
	defer end()
	return withStore(c, true, func(ctx context.Context, s store.Store) error {
		log := slog.New(slog.NewTextHandler(process.LogFile(os.Stderr), nil))
		log.Info(fmt.Sprintf("serving %s from the store %s", strings.Join(names, ", "), location(c)))
		server := serve.New(s, options, log, names, serve.Socket)
		if err := serveMetrics(ctx, c, log, server); err != nil {
			return err
		}
		end, err := server.Listen()
		if err != nil {
			return err
		}
		defer end() // nobody else serves the interfaces before
		if err := manager.Ready("serving " + strings.Join(names, ", ")); err != nil {
			log.Warn(err.Error())
		}
		server.Run(ctx)
		log.Info("ended: the interfaces keep their peers")
		return nil
	})
}

// serveOptions parses the options about peers.
func serveOptions(c *cli.Call) (serve.Options, error) {
	lent, limit := uint64(defaultLent), uint64(defaultLentLimit)
	var err error
	if text, given := c.Value(optLent.Long); given {
		if lent, err = strconv.ParseUint(text, 10, 32); err != nil || lent < 1 || lent > maxLent {
			return serve.Options{}, fmt.Errorf("--lent %s: give 1 to %d seconds", quote.Name(text), maxLent)
		}
	}
	if text, given := c.Value(optLentLimit.Long); given {
		if limit, err = strconv.ParseUint(text, 10, 32); err != nil {
			return serve.Options{}, fmt.Errorf("--lent-limit %s: give the number of peers, or 0 for any number", quote.Name(text))
		}
	}
	return serve.Options{Lent: uint32(lent), LentLimit: uint32(limit)}, nil
}

// localTable is the routing table of the addresses of this computer.
const localTable = 255

// openRoutes prepares for routes, if an option says so.
func openRoutes(c *cli.Call, o *serve.Options) (end func(), err error) {
	text, given := c.Value(optRoutes.Long)
	if !given {
		return func() {}, nil
	}
	table, err := strconv.ParseUint(text, 10, 32)
	if err != nil || table == 0 || table == localTable {
		return nil, fmt.Errorf("--routes %s: give the number of a routing table, 1 to 4294967295 without 255", quote.Name(text))
	}
	announcer, err := link.NewAnnouncer(uint32(table), routeProtocol)
	if err != nil {
		return nil, fmt.Errorf("--routes %d: %w: with systemd, see \"Routes\" in docs/fleet.md", table, err)
	}
	o.Routes = routes{announcer}
	return announcer.Close, nil
}

// routes are those of an Announcer.
type routes struct{ *link.Announcer }

func (r routes) Change(name string, remove, add []netip.Prefix) ([]netip.Prefix, error) {
	failed, err := r.Announcer.Change(name, remove, add)
	return failed, noInterface(err)
}

func (r routes) Each(name string, f func(netip.Prefix)) error {
	return noInterface(r.Announcer.Each(name, f))
}

func noInterface(err error) error {
	if errors.Is(err, link.ErrDown) {
		return serve.ErrNoInterface
	}
	return err
}

// metricsTimeout bounds what a client can occupy.
const metricsTimeout = 10 * time.Second

// serveMetrics serves metrics until ctx ends, if an option says so.
func serveMetrics(ctx context.Context, c *cli.Call, log *slog.Logger, server *serve.Server) error {
	address, given := c.Value(optMetrics.Long)
	if !given {
		return nil
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("--metrics %s: give ADDRESS:PORT, such as 127.0.0.1:9587 or [::1]:9587", quote.Name(address))
	}
	listener, err := net.Listen("tcp", parsed.String())
	if err != nil {
		return fmt.Errorf("--metrics %s: %w: give an address of this computer and a port that is free", parsed, plainOp(err))
	}
	log.Info(fmt.Sprintf("metrics are at http://%s%s", listener.Addr(), serve.MetricsPath))
	page := &http.Server{Handler: server.Metrics(), ReadHeaderTimeout: metricsTimeout, WriteTimeout: metricsTimeout, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { page.Close() })
	go page.Serve(listener)
	return nil
}

// plainOp removes the address from an error.
func plainOp(err error) error {
	var e *net.OpError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
