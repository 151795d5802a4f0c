// Package engine joins the pure rooms to a world: it is the goroutines.
//
// There are as many as the machine has use for, never one per peer or packet:
//
//	tunReader      interface → Encapsulator → socket
//	socketReader   socket → Decapsulator → interface, one for each address family
//	               (package lanes adds more of both during a backlog)
//	coreLoop       everything that arrives for the protocol machine, one at a time
//	routes         looks up the routes to endpoints
//	workers        Diffie-Hellman jobs of the machine, at most one fewer at once than
//	               Go has processors
//
// What they share is the machine (under one lock, taken by coreLoop and by
// configuration), and what package peer and package index share without locks.
package engine

import (
	"io"
	"log/slog"

	"wgd/internal/clock"
	"wgd/internal/lanes"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
	"wgd/key"
)

// World is all that an Engine needs from outside. Tests give it another one.
type World struct {
	Clock func() clock.Now
	Rand  io.Reader
	TUN   tun.Device

	Listen func(port uint16, mark uint32) (Sockets, error) // port 0: any
	Stamps Stamps                                          // nil: nothing is remembered
	Log    *slog.Logger                                    // nil: silence
	Lanes  lanes.Options

	// Routes looks up the routes to endpoints; nil: sticky sources do not follow routes.
	// RoutesChanged must be called when routes may have changed.
	Routes Routes
}

// Sockets are the UDP sockets of both families, on one port (A53). An
// udp.Pair is one.
type Sockets interface {
	Port() uint16
	Groups() []udp.Group
	NewSender() udp.Sender
	SetMark(mark uint32) error
	Forget()
	// Close ends every Send and Recv; it may be called again.
	Close() error
}

// Stamps keeps initiation timestamps over restarts (A20, A21). A state.Log is
// one. Accepted and Forget only take note; the others may wait for the disk,
// and are called by one goroutine on which nothing depends. Flush also tries
// again what Reserve could not do, and answers clock.Never when all is written.
type Stamps interface {
	Reserve(ceiling wire.TAI64N) error
	Accepted(from key.Public, stamp wire.TAI64N)
	Forget(from key.Public)
	Flush(now clock.Time) (next clock.Time, err error)
	Close(last wire.TAI64N) error
}
