package dataplane

import (
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/wire"
)

// Decapsulator carries datagrams in. One goroutine uses it at a time; each
// reader of a socket has its own.
type Decapsulator struct {
	*Shared
	notes     Notes
	handshake func(from wire.Endpoint, msg []byte)
}

// NewDecapsulator returns a Decapsulator. It gives each message of type 1 to 3,
// of exact length, to handshake, which must not keep msg.
func NewDecapsulator(s *Shared, notes Notes, handshake func(from wire.Endpoint, msg []byte)) *Decapsulator {
	return &Decapsulator{Shared: s, notes: notes, handshake: handshake}
}

// Receive carries in the trains of one read from the socket, joining packets
// over the boundaries of trains. It decrypts in place.
func (d *Decapsulator) Receive(now clock.Time, bs []batch.Batch) {}

// Decapsulate is Receive of one train.
func (d *Decapsulator) Decapsulate(now clock.Time, b *batch.Batch) {}
