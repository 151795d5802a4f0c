package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"wgd/internal/cli"
	"wgd/internal/metrics"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
)

// defaultMetrics is the address on which wgd metrics listens unless it is told another
// one. Prometheus' list of ports has the port for WireGuard.
const defaultMetrics = "127.0.0.1:9586"

// listenOption is also that of wgd web.
var listenOption = cli.Option{Long: "listen", Value: "ADDRESS", Text: "listen on an IP address and a port, such as [::1]:9586, on :PORT, which is all addresses, or, for wgd metrics, on the unix socket unix:PATH; " +
	"the default is " + defaultMetrics + " for wgd metrics, and " + defaultWeb + " for wgd web"}

var metricsForm = cli.Form{
	Syntax:  "metrics",
	Example: "wgd metrics --listen 127.0.0.1:9586",
	Summary: "serve metrics of all interfaces to Prometheus",
	Options: []cli.Option{listenOption},
	Text: []string{
		"It stays in the foreground until SIGTERM, and serves " + metrics.Path + " by HTTP. It follows interfaces that come and go, reads the daemons at most once a second, however often it is asked, " +
			"and needs no other right than to use their control sockets. Whoever can connect can read: there is no password, so listen on the loopback interface or inside a tunnel.",
		"Without a query, the answer has about 100 series for each interface, however many peers there are: totals, drops by reason, handshakes by outcome, and histograms of the handshake time " +
			"and of how long ago peers were last heard. ?interface=NAME limits it to an interface. ?peer=NAME has instead the figures of a peer, and ?top=20 those of the 20 peers with the most traffic; " +
			"for these, the whole status is read, at most once in ten seconds if there are many peers.",
	},
	Run: runMetrics,
}

const (
	// headerTimeout, idleTimeout and maxHeader bound what a client can occupy.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	writeTimeout  = time.Minute
	maxHeader     = 16 << 10
	// endTimeout is how long requests that have begun may take after SIGTERM.
	endTimeout = 5 * time.Second
)

// runMetrics serves metrics until a signal.
func runMetrics(c *cli.Call) error {
	address, given := c.Value("listen")
	if !given {
		address = defaultMetrics
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	listener, shown, err := listenMetrics(address)
	if err != nil {
		return err
	}
	handler := metrics.NewHandler(cli.Version(), func(sentence string) { c.Warnf("%s", strings.TrimSpace(sentence)) })
	handler.Check()
	if _, err := fmt.Fprintf(c.Stdout, "serving %s\n", shown); err != nil {
		listener.Close()
		return err
	}
	return serveHTTP(ctx, listener, handler)
}

// serveHTTP serves until ctx is done, which is the end of streams as well.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: maxHeader}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

// listenMetrics listens on an address that a user gave, and returns how to reach it.
func listenMetrics(address string) (l net.Listener, shown string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return nil, "", errors.New("--listen unix: has no path: give unix:/run/wgd-metrics.sock, for example")
		}
		if l, err = listenUnix(path); err != nil {
			return nil, "", fmt.Errorf("--listen unix:%s: %w", quote.Text(path), plainOp(err))
		}
		return l, metrics.Path + " on the unix socket " + path, nil
	}
	if !validAddress(address) {
		return nil, "", fmt.Errorf("--listen %s: not an address: give ADDRESS:PORT, such as %s or [::1]:9586, :PORT, or unix:PATH", quote.Text(address), defaultMetrics)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		return nil, "", fmt.Errorf("--listen %s: %w: choose an address of this computer and a port that is free", address, plainOp(err))
	}
	return l, "http://" + l.Addr().String() + metrics.Path, nil
}

// validAddress reports whether an address has an IP address, localhost or nothing, and a
// port. Names are not looked up: they may have several addresses, of which only one would
// be used.
func validAddress(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, badHost := netip.ParseAddr(host)
	_, badPort := strconv.ParseUint(port, 10, 16)
	return badPort == nil && (badHost == nil || host == "" || host == "localhost")
}
