package proxy

import (
	"context"
	"log/slog"
	"net"
)

// A Forward connects each client of a listener to one target. It makes no
// difference which of the two is in the tunnel, or whether they use TCP or unix
// sockets.
type Forward struct {
	// Dial connects to the target. Its error names the target.
	Dial func(ctx context.Context) (net.Conn, error)
	// Log gets a line for each connection that fails. It may be nil.
	Log *slog.Logger
}

// Serve serves the clients that l accepts.
func (f *Forward) Serve(ctx context.Context, l net.Listener) error {
	return serve(ctx, l, logger(f.Log), f.handle)
}

func (f *Forward) handle(ctx context.Context, c net.Conn) {
	limited, cancel := context.WithTimeout(ctx, dialTimeout)
	remote, err := f.Dial(limited)
	cancel()
	if err != nil {
		logger(f.Log).Info("forward failed", "listener", c.LocalAddr(), "client", c.RemoteAddr(), "error", err)
		abort(c) // an end would look like an empty answer
		return
	}
	Relay(ctx, c, remote)
}

// Dial connects to HOST:PORT through a tunnel, for a Forward into it. It looks
// names up in the tunnel only, and tries several addresses.
func Dial(ctx context.Context, t Tunnel, hostPort string) (net.Conn, error) {
	to, err := parseTarget(hostPort)
	if err != nil {
		return nil, err
	}
	return dial(ctx, t, to)
}
