package udp

import "wgd/internal/batch"

// MaxDepth is the maximum number of trains that one Recv returns.
const MaxDepth = 32

// MaxSegments is the maximum number of datagrams that one call sends as a train (the
// limit of kernels before 6.8; newer ones accept 128).
const MaxSegments = 64

// BufferSize is the requested size of each of a socket's two kernel buffers, in bytes.
const BufferSize = 16 << 20

// Options are the options of Listen. The zero value enables everything the kernel
// supports.
type Options struct {
	Mark   uint32 // SO_MARK of everything sent; 0: none (A53)
	NoGSO  bool   // behave as on a kernel without UDP_SEGMENT
	NoGRO  bool   // behave as on a kernel without UDP_GRO
	NoIPv4 bool   // behave as on a host without IPv4
	NoIPv6 bool   // behave as on a host without IPv6 (B21)
}

// Caps are the capabilities that the kernel granted to each socket of a Group.
type Caps struct {
	GSO        bool // trains are sent whole, unless they are refused (B61)
	GRO        bool // trains are received whole
	RecvBuffer int  // bytes granted of BufferSize
	SendBuffer int

	// OneSocket says that SetSockets accepts no number but 1, and that there are no
	// marks, no ECN, no TTL and no source addresses: what was received has none, and
	// what is sent leaves them to the system.
	OneSocket bool
}

// A Receiver receives from a Socket, for one goroutine.
type Receiver interface {
	// Recv waits for datagrams and puts one train into each of bs, at most MaxDepth;
	// n is at least 1 unless there is an error. Every train has its Remote, with the
	// local address at which it arrived as the source (A52), ECN, and TOS. The trains
	// of one Recv share one Buf. It costs one recvmsg if len(bs) is 1, and one
	// recvmmsg otherwise.
	Recv(bs []batch.Batch) (n int, err error)
	// TryRecv is Recv without waiting: n is 0 if there is no datagram.
	TryRecv(bs []batch.Batch) (n int, err error)
}

// A Sender sends, for one goroutine.
type Sender interface {
	// Send sends the train to b.Remote, in order, with b.TOS|b.ECN. If b.Remote's
	// source is gone, it sends the train without it and returns ErrSourceGone. Any
	// other error, also one that wraps ErrSourceGone, means that the rest of the
	// train, or all of it, was not sent (batch.Sent). Send does not wait for room in
	// the send buffer, except for a few milliseconds if b is Data and nothing else
	// helps. It returns ErrBacklog if the path is congested.
	Send(b *batch.Batch) error
	// SendAll sends trains, usually to different destinations, as if by Send for each, and
	// in order to each destination. errs has the same length, and errs[i] becomes what Send of bs[i] would
	// have returned: an error of one train does not affect the others.
	SendAll(bs []batch.Batch, errs []error)
}

// A Socket is one of the receiving sockets on the port.
type Socket interface {
	// NewReceiver returns another Receiver. Its buffers occupy no memory before they
	// are used.
	NewReceiver() Receiver
	// Wait waits until TryRecv may return a train or an error. It receives nothing.
	Wait() error
}

// A Group is the sockets of one address family on the port. At first there is one.
type Group interface {
	Caps() Caps
	// Socket returns socket number i, from 0.
	Socket(i int) Socket
	// SetSockets changes the number of sockets to n, by opening or closing the last
	// ones, and ends SteerToFirst. Most remote senders move to another socket when n
	// changes. Datagrams in a socket that is closed are lost: receive them before.
	// After an error, the number may differ from n.
	SetSockets(n int) error
	// SteerToFirst makes all datagrams arrive at the first socket. When it returns,
	// which takes some milliseconds, none will arrive at another one. It reports
	// whether the kernel supports that.
	SteerToFirst() bool
	// NewSender returns another Sender. It is closed with the Group.
	NewSender() Sender
	// SetMark changes SO_MARK of everything sent from now on (A53).
	SetMark(mark uint32) error
	// Forget discards what was learned about trains that are refused (B61). It must
	// be called when routes change.
	Forget()
	Close() error
}
