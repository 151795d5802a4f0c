// Package udp provides the sockets of a tunnel, of both address families on one port.
// One call sends or receives whole trains of datagrams (package batch), and on Linux trains
// to different destinations as well.
//
//	Pair ── both families, as Listen opens them
//	 ├─ V4 ── Group: all sockets of one family on the port
//	 │         ├─ Socket 0 ── Receivers
//	 │         └─ Socket 1 … n-1, after SetSockets(n)
//	 └─ V6 ── Group
//
// # Receiving
//
// The kernel delivers each datagram to one Socket of the Group. It chooses by both
// addresses and ports, so everything that a peer sends from one address arrives at the
// same Socket as long as their number stays the same. Each goroutine that reads a Socket
// has its own Receiver with its own buffers. Every train arrives at one of them; only
// one of them waits at a time.
//
// # Sending
//
// Each goroutine that sends has a Sender, which does not wait for other Senders. A
// train leaves through the socket of its endpoint's family, in order. Trains to several
// destinations are best given to one SendAll: it sends them in one call, except those that
// need more than that, which it sends in their turn, as Send does. Each Sender
// learns for itself which trains the kernel refuses for an endpoint (B61): it sends
// the same datagrams in a form that is accepted, and remembers that until Forget.
//
// A destination with a slow path does not delay others: its data waits in a separate
// socket, which only sends, and what exceeds the capacity of the path is dropped with
// ErrBacklog (see backlog.go).
//
// # Other systems
//
// On systems other than Linux, Listen opens sockets of package net (ListenPortable). They
// are behind an adapter (Adapt), which makes a Group of any Conn that sends and receives
// datagrams. See Caps.OneSocket for what such a Group lacks.
//
// # Goroutines and buffers
//
// The methods of a Pair, a Group and a Socket are safe for concurrent use, with these
// exceptions: only one goroutine at a time may be in Wait of a Socket, and calls of
// SetSockets and SteerToFirst of a Group must not overlap. A Receiver and a Sender
// belong to one goroutine at a time.
//
// The data that Recv returns lies in the Receiver's buffer and is valid until the next
// call. Send and SendAll neither keep nor change their batches. None of them allocates.
//
// # Errors
//
// After Close every call returns os.ErrClosed, including calls that wait. Errors of
// Listen and SetMark are sentences for the user (PortTaken, PortForbidden, MarkRefused).
// batch.Sent reports whether a train was sent despite an error of Send.
package udp
