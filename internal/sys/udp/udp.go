package udp

import "wgd/internal/batch"

// MaxDepth is the most trains that one Recv takes.
const MaxDepth = 32

// MaxSegments is the most datagrams that one call sends as a train (the limit
// of kernels before 6.8; newer ones take 128).
const MaxSegments = 64

// BufferSize is what is asked for each of a socket's two kernel buffers, in bytes.
const BufferSize = 16 << 20

// Options of Listen. The zero value asks for all the kernel has.
type Options struct {
	Mark   uint32 // SO_MARK of everything sent; 0: none (A53)
	NoGSO  bool   // as on a kernel without UDP_SEGMENT
	NoGRO  bool   // as on a kernel without UDP_GRO
	NoIPv4 bool   // as on a host without IPv4
	NoIPv6 bool   // as on a host without IPv6 (B21)
}

// Caps says what the kernel granted to each socket of a Group.
type Caps struct {
	GSO        bool // trains are sent whole, to endpoints that do not refuse them (B61)
	GRO        bool // trains are received whole
	RecvBuffer int  // bytes granted, where BufferSize was asked
	SendBuffer int
}

// A Receiver is one goroutine's way to receive from a Socket.
type Receiver interface {
	// Recv waits for datagrams and puts one train into each of bs, at most
	// MaxDepth; n is at least 1 unless there is an error. Every train has its
	// Remote with the source on which it came (A52), ECN, and TOS. The trains of one
	// Recv lie in one Buf. With len(bs) == 1 it costs one recvmsg; deeper, one
	// recvmmsg.
	Recv(bs []batch.Batch) (n int, err error)
	// TryRecv is Recv that does not wait: n is 0 when nothing is there.
	TryRecv(bs []batch.Batch) (n int, err error)
}

// A Sender is one goroutine's way to send.
type Sender interface {
	// Send sends the train to b.Remote, in order, with b.TOS|b.ECN. When b.Remote's
	// source is gone, everything is sent without it and the error is ErrSourceGone.
	// Any other error, also one that wraps ErrSourceGone, says that the rest of the
	// train, or all, was not sent (batch.Sent). Send does not wait for room, but for
	// a few milliseconds where b is Data and nothing else helps: the error is
	// ErrBacklog when the way out is congested.
	Send(b *batch.Batch) error
}

// A Socket is one of several that receive on the port.
type Socket interface {
	// NewReceiver is one more way to receive. Its buffers cost nothing before they
	// are used.
	NewReceiver() Receiver
	// Wait waits until TryRecv may bring something or an error. It receives nothing.
	Wait() error
}

// A Group is all sockets of one address family on the port. At first there is one.
type Group interface {
	Caps() Caps
	// Socket is the one of number i, from 0.
	Socket(i int) Socket
	// SetSockets has n of them, by opening or closing the last, and ends
	// SteerToFirst. Most senders move to another socket when n changes. What waits
	// in one that is closed is lost: receive it before. On an error, there is another
	// number of them.
	SetSockets(n int) error
	// SteerToFirst has all datagrams come to the first socket. When it returns,
	// which takes some milliseconds, none is on its way to another one. It reports
	// whether the kernel does that.
	SteerToFirst() bool
	// NewSender is one more way to send. It ends with the Group.
	NewSender() Sender
	// SetMark changes SO_MARK for all that is sent from now on (A53).
	SetMark(mark uint32) error
	// Forget drops what was learned about the trains that endpoints refuse (B61):
	// to be called when routes change.
	Forget()
	Close() error
}
