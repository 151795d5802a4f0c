// Package udp has the sockets of a tunnel: one for each address family, both
// on one port, through which whole trains of datagrams pass in one call.
package udp

import (
	"errors"
	"fmt"
	"net/netip"

	"wgd/internal/batch"
)

// MaxDepth is the most trains that one Recv takes.
const MaxDepth = 32

// MaxSegments is the most datagrams that one call sends as a train (the limit
// of kernels before 6.8; newer ones take 128).
const MaxSegments = 64

// BufferSize is what is asked for each of a socket's two kernel buffers.
const BufferSize = 16 << 20

// Options of Listen. The zero value asks for all the kernel has.
type Options struct {
	Mark   uint32 // SO_MARK of everything sent; 0: none (A53)
	NoGSO  bool   // as on a kernel without UDP_SEGMENT
	NoGRO  bool   // as on a kernel without UDP_GRO
	NoIPv4 bool   // as on a host without IPv4
	NoIPv6 bool   // as on a host without IPv6 (B21)
}

// Caps says what the kernel granted to one socket.
type Caps struct {
	GSO        bool // trains are sent whole, to endpoints that do not refuse them (B61)
	GRO        bool // trains are received whole
	RecvBuffer int  // bytes granted, where BufferSize was asked
	SendBuffer int
}

// A Conn is the socket of one address family. Any goroutine may Send; Recv
// belongs to one goroutine at a time, for its buffers are the Conn's.
type Conn interface {
	// Recv waits for datagrams and puts one train into each of bs, at most
	// MaxDepth; n is at least 1 unless there is an error. Every train has its
	// Remote with the source on which it came (A52), ECN, and TOS. Data stays
	// valid until the next Recv; the trains of one Recv lie in one Buf. With
	// len(bs) == 1 it costs one recvmsg; deeper, one recvmmsg. It returns
	// os.ErrClosed after Close.
	Recv(bs []batch.Batch) (n int, err error)
	// Send sends the train to b.Remote, in order, with b.TOS|b.ECN, and does
	// not keep or change b. When b.Remote's source is gone, everything is sent
	// without it and the error is ErrSourceGone. Any other error, also one that
	// wraps ErrSourceGone, says that the rest of the train, or all, was not sent
	// (batch.Sent); os.ErrClosed after Close. Send does not wait for room, but for
	// a few milliseconds where b is Data and nothing else helps: the error is
	// ErrBacklog when the way out is congested.
	Send(b *batch.Batch) error
	// SetMark changes SO_MARK for all that is sent from now on (A53).
	SetMark(mark uint32) error
	// Forget drops what was learned about the trains that endpoints refuse (B61):
	// to be called when routes change.
	Forget()
	Caps() Caps
	Close() error
}

// A Receiver is a way to receive from a Conn, with buffers of its own: Recv is
// Conn's.
type Receiver interface {
	Recv(bs []batch.Batch) (n int, err error)
	// TryRecv is Recv that does not wait: n is 0 when nothing is there.
	TryRecv(bs []batch.Batch) (n int, err error)
}

// A Shareable is a Conn from which several goroutines may receive, each by a
// Receiver of its own; every train comes to one of them. Its own Recv is one
// more. They take turns where they wait. The buffers of a Receiver that is not
// used cost nothing.
type Shareable interface{ NewReceiver() Receiver }

// A Sender is a way to send from a Conn that does not wait for other Senders:
// Send is Conn's. It ends with its Conn.
type Sender interface {
	Send(b *batch.Batch) error
}

// SendOptions are those of a SendSocket. The zero value is sent with like Conn.
type SendOptions struct {
	Buffer int // bytes asked for the send buffer; 0: BufferSize
	// DontFragment sets DF on everything, whatever is known about the path. What
	// is longer than the MTU of the link ends with an error and is not sent.
	DontFragment bool
}

// A SendSocket is a further socket on the port of a Conn, only for sending.
//
//   - Send is Conn's: it sends from the port of the Conn and from the source in
//     the endpoint, with the DSCP and ECN of the train and the mark of the Conn
//     (SetMark of the Conn holds for it, too). It finds out by itself which
//     trains an endpoint refuses (B61), and Forget of the Conn makes it forget.
//   - It never receives. Each datagram that comes to the port goes to the socket
//     to which it would go without it, whatever Sockets and SteerToFirst say.
//   - Its send buffer is its own: when it is full nobody else waits, and it does
//     not wait when another one is full.
//   - Order is kept when a flow moves from one socket to another, provided that
//     the second Send begins after the first has returned: what was sent waits in
//     queues of the kernel's that belong to devices and know no sockets.
//
// Any goroutine may Send. Close of the Conn closes it, too. To open one fails in
// another network namespace than the Conn's.
type SendSocket interface {
	Sender
	// Queued is how many bytes have been sent and have not left the machine yet,
	// as the kernel counts them: with its own structures around the datagrams.
	Queued() (int, error)
	Close() error
}

// A Socket is one of several on the same port.
type Socket interface {
	Shareable
	// Wait waits until TryRecv may bring something or an error, os.ErrClosed
	// after Close; it receives nothing. It is for one goroutine at a time.
	Wait() error
}

// A MultiSocket is a Conn that can have others beside it, on its port and with
// all its options, so that goroutines receive at once. The kernel chooses the
// socket for a datagram by both its addresses and ports: all that one peer sends
// from one address comes to the same one as long as the number of sockets is the
// same. The Conn is the first of them; its Close, SetMark and Forget are for all.
type MultiSocket interface {
	Conn
	Socket
	NewSender() (Sender, error)
	// OpenSendSocket opens one; there may be 254 beside a Conn.
	OpenSendSocket(o SendOptions) (SendSocket, error)
	// Socket is the one of number i; 0 is the Conn itself.
	Socket(i int) Socket
	// SetSockets has n of them, by opening or closing the last, and ends
	// SteerToFirst. Most senders move to another socket when n changes. What waits
	// in one that is closed is lost: receive it before. Calls of SetSockets and
	// SteerToFirst must not overlap. On an error, there is another number of them.
	SetSockets(n int) error
	// SteerToFirst has all datagrams come to the first socket. When it returns,
	// which takes some milliseconds, none is on its way to another one. It reports
	// whether the kernel does that.
	SteerToFirst() bool
}

// A Pair is the sockets of both families on one port. Either may be nil where
// the host lacks the family, but not both (A53, B21).
type Pair struct {
	V4, V6 Conn
	port   uint16
}

// Port is the one that both sockets are bound to.
func (p *Pair) Port() uint16 { return p.port }

// Conns lists the sockets there are: one reader goroutine for each.
func (p *Pair) Conns() []Conn {
	var list []Conn
	for _, c := range []Conn{p.V4, p.V6} {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// Send sends the train through the socket of its family; see Conn.Send.
func (p *Pair) Send(b *batch.Batch) error {
	c := p.V6
	if is4(b.Remote.Remote.Addr()) {
		c = p.V4
	}
	switch {
	case !b.Remote.IsValid():
		return ErrBadEndpoint
	case c == nil:
		return ErrNoFamily
	}
	return c.Send(b)
}

// OpenSendSocket opens a SendSocket beside the socket of the endpoint's family.
func (p *Pair) OpenSendSocket(to netip.Addr, o SendOptions) (SendSocket, error) {
	c := p.V6
	if is4(to) {
		c = p.V4
	}
	m, ok := c.(MultiSocket)
	if !ok {
		return nil, ErrNoFamily
	}
	return m.OpenSendSocket(o)
}

// NewSender is another way to send, which waits for no other: see Sender. It
// ends with the Pair.
func (p *Pair) NewSender() (Sender, error) {
	own := &Pair{port: p.port}
	for _, c := range []struct {
		from Conn
		to   *Conn
	}{{p.V4, &own.V4}, {p.V6, &own.V6}} {
		if m, ok := c.from.(MultiSocket); ok {
			s, err := m.NewSender()
			if err != nil {
				return nil, err
			}
			*c.to = sending{c.from, s}
		} else if c.from != nil {
			*c.to = c.from
		}
	}
	return own, nil
}

// sending is a Conn that sends in another way.
type sending struct {
	Conn
	by Sender
}

func (s sending) Send(b *batch.Batch) error { return s.by.Send(b) }

// SetMark sets SO_MARK of both sockets.
func (p *Pair) SetMark(mark uint32) error {
	var errs []error
	for _, c := range p.Conns() {
		errs = append(errs, c.SetMark(mark))
	}
	return errors.Join(errs...)
}

// Forget is Conn.Forget for both sockets.
func (p *Pair) Forget() {
	for _, c := range p.Conns() {
		c.Forget()
	}
}

// Close closes both sockets: every Recv and Send ends with os.ErrClosed.
func (p *Pair) Close() error {
	var errs []error
	for _, c := range p.Conns() {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// What may be wrong, for errors.Is.
var (
	// ErrSourceGone says that the local address in an endpoint does not exist any
	// more, so forget it (A52). Alone, it comes after the train was sent.
	ErrSourceGone = batch.ErrSourceGone
	// ErrBacklog: it was not sent, or not all of it, because too much waits on the
	// way out.
	ErrBacklog = batch.ErrBacklog
	// ErrNoFamily: the host has no socket of the endpoint's address family.
	ErrNoFamily = errors.New("this host has no sockets of that address family")
	// ErrBadEndpoint: no valid address and port to send to.
	ErrBadEndpoint = errors.New("no endpoint to send to")
)

// PortTaken says that another program has the UDP port.
type PortTaken struct {
	Port  uint16
	Cause error
}

func (e *PortTaken) Error() string {
	return fmt.Sprintf("UDP port %d is taken by another program: see which with \"ss -lunp sport = :%d\", or choose another listen port (0 finds a free one)", e.Port, e.Port)
}

func (e *PortTaken) Unwrap() error { return e.Cause }

// PortForbidden says that only others may have the UDP port.
type PortForbidden struct {
	Port  uint16
	Cause error
}

func (e *PortForbidden) Error() string {
	return fmt.Sprintf("no permission for UDP port %d: choose a listen port of 1024 or more, or run as root or with CAP_NET_BIND_SERVICE", e.Port)
}

func (e *PortForbidden) Unwrap() error { return e.Cause }

// MarkRefused says that the mark could not be set.
type MarkRefused struct {
	Mark  uint32
	Cause error
}

func (e *MarkRefused) Error() string {
	return fmt.Sprintf("the firewall mark %#x cannot be set on the UDP socket: %v (it needs root or CAP_NET_ADMIN)", e.Mark, e.Cause)
}

func (e *MarkRefused) Unwrap() error { return e.Cause }

// is4 tells the family; an IPv4-mapped address is IPv4 (A54).
func is4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }
