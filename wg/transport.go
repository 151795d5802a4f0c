package wg

import (
	"net/netip"

	"wgd/internal/engine"
	"wgd/internal/sys/udp"
)

// A Transport replaces the UDP sockets of an Interface: it sends the encrypted
// datagrams to the peers and receives theirs. It may be a network in memory for
// tests, or carry the datagrams in another protocol.
//
// WireGuard expects no more of it than of UDP: datagrams may be lost, repeated
// and reordered. A datagram has up to 65,535 bytes; with an MTU of 1,420 bytes
// inside the tunnel, up to 1,452.
type Transport interface {
	// Open opens the transport at a port; 0 means that the transport chooses one.
	// It is called when the Interface goes up, and when Apply changes
	// ListenPort: then the new Conn is opened before the old one is closed. Its
	// error is returned by Apply, or shown as the fault of the Interface.
	Open(port uint16) (Conn, error)
}

// A Conn is an open Transport. One goroutine calls Read. Any number of
// goroutines may call Write at the same time, also while Read waits. The Conn
// belongs to the Interface, which closes it once.
//
// Read and Write pass trains: datagrams that lie back to back in one slice. All
// of them have size bytes, except the last, which may be shorter. A train of one
// datagram, with size equal to its length, is always right for Read. Longer ones
// save time.
//
// Addresses identify peers, like those of UDP: what is received from an address
// is answered to that address. They need not belong to any network. An address
// must not have the port 0. An IPv4-mapped IPv6 address counts as an IPv4 address.
type Conn interface {
	// Port returns the local port, which Status shows. It is called once.
	Port() uint16
	// Read waits for a train from one address and copies it to b, which has
	// 65,536 bytes; n is the length of the train in bytes. An empty datagram has
	// n and size 0. After an error, the Interface logs it, waits for a time that
	// grows from 10 ms to 1 s with each error in a row, and calls Read again.
	// After os.ErrClosed or net.ErrClosed it does not: it receives nothing until
	// ListenPort changes, which opens another Conn.
	Read(b []byte) (n, size int, from netip.AddrPort, err error)
	// Write sends a train to an address. It must not keep or change b. After an
	// error for a train of several datagrams, the Interface writes them again, one
	// by one, until two in a row have failed. What fails then is lost, as in any
	// network; the tunnel sends handshakes again, but no data. Write should not
	// wait for long, because packets to other peers wait meanwhile: discard
	// datagrams instead.
	Write(b []byte, size int, to netip.AddrPort) error
	// Close makes Read return, also a call that is waiting. The Interface waits
	// for that.
	Close() error
}

// openTransport opens a Transport for the engine.
func openTransport(t Transport, port uint16, mark uint32) (engine.Sockets, error) {
	c, err := t.Open(port)
	if err != nil {
		return nil, err
	}
	s, err := udp.Adapt(c, udp.Options{Mark: mark})
	if err != nil {
		return nil, err
	}
	return s, nil
}
