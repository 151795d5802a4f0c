// Package batch defines Batch, the unit in which packets pass through the data
// plane.
//
// A Batch is a train of datagrams to, or from, one address, which lie back to
// back in one buffer. All are Stride bytes long except the last, which may be
// shorter. The kernel takes such a train with UDP_SEGMENT and returns one with
// UDP_GRO, so one call sends or receives a batch, and no batch is split and
// joined again.
package batch

import (
	"errors"

	"wgd/internal/wire"
)

// Headers4 and Headers6 are the lengths of the IP and UDP headers of a datagram.
const (
	Headers4 = 20 + 8
	Headers6 = 40 + 8
)

// MaxDatagram4 is the largest payload of a UDP datagram over IPv4: 65,535 bytes
// less the IP and UDP headers. Over IPv6, it is 20 bytes more.
const (
	MaxDatagram4 = 65535 - Headers4
	MaxDatagram6 = 65535 - 8
)

// ErrSourceGone is returned by a socket that could send a batch only without
// the sticky source (A52). The whole batch was sent, and the caller must forget
// the source of the endpoint.
var ErrSourceGone = errors.New("the source address is gone; sent from the one that the routing table chose")

// Sent reports whether err, returned by a socket, means that the whole batch was
// sent. It does not if ErrSourceGone is only one of several joined errors: then
// sending without the source failed as well.
func Sent(err error) bool { return err == nil || err == ErrSourceGone }

// ErrBacklog is returned by a socket that did not send a batch, or part of it,
// because too many datagrams are queued for sending.
var ErrBacklog = errors.New("too many datagrams are queued for sending")

// Class decides what happens to a batch when the send path is congested. Only
// Data is ever queued.
type Class uint8

const (
	Data    Class = iota // dropped when much is queued for the same destination
	Reply                // to an unknown sender: dropped when much is queued for any destination
	Control              // handshakes and keepalives: never dropped in favour of data
)

// A Batch is a train of datagrams. Its holder owns Data until it passes the
// batch on. A function that is passed a batch must not keep Data after it
// returns.
type Batch struct {
	Data   []byte // Count datagrams back to back
	Stride int    // length of each datagram except the last; > 0 unless Data is empty
	Remote wire.Endpoint
	ECN    byte // the two ECN bits of the outer header, RFC 3168
	TOS    byte // DSCP bits of the outer header, without ECN (A56: 0x88 for handshakes)
	TTL    byte // TTL or hop limit of the outer header; 0: the host's default
	Class  Class

	// DontFragment forbids this host and the routers to fragment the datagrams (A46).
	DontFragment bool

	// Buf is the buffer shared by several batches of one read, in which Data
	// begins at Off; nil if Data is not part of such a buffer. It lets one call
	// open the packets of one session across trains, which matters without GRO,
	// when each train is a single datagram.
	Buf []byte
	Off int
}

// Count returns the number of datagrams: len(Data) divided by Stride, rounded
// up. An empty datagram is a batch of one.
func (b *Batch) Count() int {
	if len(b.Data) <= b.Stride || b.Stride <= 0 {
		return 1
	}
	return (len(b.Data) + b.Stride - 1) / b.Stride
}

// At returns the i-th datagram.
func (b *Batch) At(i int) []byte {
	if b.Stride <= 0 {
		return b.Data
	}
	return b.Data[i*b.Stride : min((i+1)*b.Stride, len(b.Data))]
}

// SendInTurn is SendAll of a socket that sends one batch at a time: errs[i] becomes what
// send returns for bs[i].
func SendInTurn(send func(b *Batch) error, bs []Batch, errs []error) {
	for i := range bs {
		errs[i] = send(&bs[i])
	}
}
