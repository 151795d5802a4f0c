// Package proxy serves programs that cannot use a tunnel themselves: it has a
// SOCKS5 server, an HTTP proxy, and forwards of TCP and UDP. Each of them
// connects its clients with what a Tunnel reaches, or the other way round.
//
// Each Serve method runs until its context is done or its socket fails. When it
// returns, its socket and all connections are closed, and no goroutine of it is
// left. It returns nil if its context ended it.
package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// A Tunnel is the network that a proxy leads to.
type Tunnel interface {
	// DialContext connects to an address. The network is "tcp" or "udp", and
	// the address has numbers only.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// Listen listens on an address inside the tunnel.
	Listen(network, address string) (net.Listener, error)
	// ListenPacket opens a UDP socket inside the tunnel. The network is "udp4"
	// or "udp6".
	ListenPacket(network, address string) (net.PacketConn, error)
	// LookupNetIP looks up a name, and sends queries through the tunnel only.
	// The network is "ip", "ip4" or "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	// handshakeTimeout is how long a client may take to say what it wants.
	handshakeTimeout = 20 * time.Second
	// dialTimeout is how long it may take to look up a name and to connect. It
	// leaves time for several handshakes of the tunnel.
	dialTimeout = 30 * time.Second
	// halfClosedTimeout is how long the other direction of a connection may be
	// silent after one has ended. Without a limit, a connection would stay
	// forever when its client has gone and its server never answers, because
	// the end of a client's stream does not say whether it still reads.
	halfClosedTimeout = 15 * time.Minute
)

// logger returns log, or one that discards everything.
func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
