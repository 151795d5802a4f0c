// Package engine joins the pure rooms to a world: it is the goroutines.
//
// There are as many as the machine has use for, never one per peer or packet:
//
//	tunReader      interface → Encapsulate → socket
//	socketReader   socket → Decapsulate → interface, one for each address family
//	               (under a backlog, both have followers; see lane)
//	coreLoop       everything that arrives for the protocol machine, one at a time
//	workers        Diffie-Hellman jobs of the machine, one less at once than Go has processors
//
// What they share is the machine (under one lock, taken by coreLoop and by
// configuration), and what package peer and package index share without locks.
package engine

import (
	"io"
	"log/slog"
	"net/netip"

	"wgd/internal/clock"
	"wgd/internal/sys/cpu"
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

	// Usage tells how much of the processors is used; nil where that is not
	// known: then no way is spread over several goroutines.
	Usage func() (cpu.Times, error)
	// Spread, if it is not 0, has so many goroutines carry every batch of each
	// way, whatever that brings. For tests.
	Spread int

	// Queues, if it is not nil, is asked again and again how many queues of the
	// interface, and sockets of each family, there are to be, as far as TUN and
	// Listen offer several. For tests.
	Queues func() int

	// Processors, if it is not nil, is told whether all of Go's processors are
	// needed or one suffices. They are at the beginning. That all are needed is
	// said again from time to time, so that it can ask how many there are. It may
	// take its time.
	Processors func(all bool)

	// RouteIndex is the interface through which the routing table sends to
	// remote from source; nil where sticky sources need not follow routes.
	RouteIndex func(remote, source netip.Addr, mark uint32) (uint32, error)
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
