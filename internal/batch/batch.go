// Package batch has the unit in which packets travel through the data plane.
//
// A Batch is a train of datagrams to, or from, one address, lying back to back
// in one buffer: every one Stride bytes long but the last, which may be
// shorter. That is what the kernel takes with UDP_SEGMENT and gives with
// UDP_GRO, so a batch crosses the socket in one call and is never cut apart
// and glued together again.
package batch

import (
	"errors"

	"wgd/internal/wire"
)

// MaxDatagram4 is the most payload one UDP datagram carries over IPv4: 65,535
// bytes less the IP and UDP headers. Over IPv6 it is 20 more.
const (
	MaxDatagram4 = 65535 - 20 - 8
	MaxDatagram6 = 65535 - 8
)

// ErrSourceGone is what a socket answers when it could send a batch only
// without the sticky source (A52): all was sent, and whoever keeps the endpoint
// must forget its source.
var ErrSourceGone = errors.New("the source address is gone; sent from the one that the routing table chose")

// Sent reports whether all was sent for which a socket answers err. An error in
// which ErrSourceGone is only one of several says that it was not: it could not
// be sent without the source either.
func Sent(err error) bool { return err == nil || err == ErrSourceGone }

// ErrBacklog is what a socket answers when it has not sent a batch, or some of
// it, because too much waits on the way out.
var ErrBacklog = errors.New("more is to be sent than the way out carries")

// Class says what becomes of a batch where the way out is congested. Nothing but
// Data ever waits.
type Class uint8

const (
	Data    Class = iota // is dropped when much of the same destination's waits
	Reply                // to a stranger: is dropped when much waits, of whomever
	Control              // handshakes and keepalives: never dropped for the sake of data
)

// Batch is a train of datagrams. Whoever holds it owns Data until it is handed
// on; a receiver must not keep Data after the call that gave it returns.
type Batch struct {
	Data   []byte // Count datagrams back to back
	Stride int    // length of each but the last; > 0 unless Data is empty
	Remote wire.Endpoint
	ECN    byte // the two ECN bits of the outer header, RFC 3168
	TOS    byte // DSCP bits of the outer header (A56: 0x88 for handshakes); ECN apart
	TTL    byte // of the outer header, or its hop limit; 0: the host's usual one
	Class  Class

	// Buf is the whole buffer in which Data begins at Off, where several
	// batches of one read share it: then packets of one session are opened in
	// one call over the boundaries of trains, which matters where there is no
	// GRO and each train is a single datagram. Nil: Data is all there is.
	Buf []byte
	Off int
}

// Count is the number of datagrams: len(Data) over Stride, rounded up. An
// empty datagram is a batch of one.
func (b *Batch) Count() int {
	if len(b.Data) <= b.Stride || b.Stride <= 0 {
		return 1
	}
	return (len(b.Data) + b.Stride - 1) / b.Stride
}

// At is the i-th datagram.
func (b *Batch) At(i int) []byte {
	if b.Stride <= 0 {
		return b.Data
	}
	return b.Data[i*b.Stride : min((i+1)*b.Stride, len(b.Data))]
}
