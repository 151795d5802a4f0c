package engine

import (
	"io"
	"log/slog"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/lanes"
	"wgd/internal/resolve/dns"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
	"wgd/key"
)

// World is everything an Engine needs from outside. Tests use fakes.
type World struct {
	Clock func() clock.Now
	Rand  io.Reader
	TUN   tun.Device

	Listen func(port uint16, mark uint32) (Sockets, error) // port 0: any
	Stamps Stamps                                          // nil: stamps are not stored
	Log    *slog.Logger                                    // nil: no log
	Events func(conf.Event)                                // called for each event of a peer, which has no number and no time, by one goroutine; must not wait; nil: none
	Lanes  lanes.Options

	// Routes looks up the routes to endpoints; nil: sticky sources do not follow routes.
	// RoutesChanged must be called when routes may have changed.
	Routes Routes

	// Names is where the computer's configuration of DNS is; none: dns.System.
	Names dns.Files
}

// Sockets are the UDP sockets of both families, on one port (A53). A udp.Pair
// implements it.
type Sockets interface {
	Port() uint16
	Groups() []udp.Group
	NewSender() udp.Sender
	SetMark(mark uint32) error
	Forget()
	// Close ends every Send and Recv. It may be called more than once.
	Close() error
}

// Stamps keeps initiation timestamps across restarts (A20, A21). A state.Log
// implements it. Accepted and Forget only record; the other methods may wait for
// the disk, and are called by one goroutine that nothing waits for. Flush also
// retries a failed Reserve, and returns clock.Never when everything is written.
type Stamps interface {
	Reserve(ceiling wire.TAI64N) error
	Accepted(from key.Public, stamp wire.TAI64N)
	Forget(from key.Public)
	Flush(now clock.Time) (next clock.Time, err error)
	Close(last wire.TAI64N) error
}
