// Package udp has the sockets of a tunnel: those of both address families on one
// port, through which whole trains of datagrams (package batch) pass in one call.
//
//	Pair ── both families, as Listen opens them
//	 ├─ V4 ── Group: all sockets of one family on the port
//	 │         ├─ Socket 0 ── Receivers
//	 │         └─ Socket 1 … n-1, after SetSockets(n)
//	 └─ V6 ── Group
//
// # Receiving
//
// The kernel gives each datagram to one Socket of the Group. It chooses by both
// addresses and ports, so everything that one peer sends from one address comes to
// the same Socket as long as there is the same number of them. The goroutines that
// read one Socket have a Receiver each, with buffers of its own; every train comes to
// one of them, and they take turns where they wait.
//
// # Sending
//
// Each goroutine that sends has a Sender, which does not wait for other Senders. A
// train leaves through the socket of its endpoint's family, in order. What an
// endpoint refuses (B61) each Sender finds out by itself: it sends the same datagrams
// in a form that passes, and remembers that until Forget.
//
// A destination whose way out is slow holds up nobody else: its data waits in a
// socket of its own, which only sends, and what the way does not carry is dropped
// with ErrBacklog (backlog.go decides about it).
//
// # Goroutines and buffers
//
// Any goroutine may call any method of a Pair, a Group and a Socket, with these
// exceptions: only one goroutine at a time may be in Wait of a Socket, and calls of
// SetSockets and SteerToFirst of a Group must not overlap. A Receiver and a Sender
// belong to one goroutine at a time.
//
// What Recv has put into a batch lies in the Receiver's buffer and is valid until
// its next call. Send neither keeps nor changes its batch. Neither allocates.
//
// # Errors
//
// After Close every call ends with os.ErrClosed, also one that waits. Errors of Listen
// and SetMark are sentences for a person (PortTaken, PortForbidden, MarkRefused). What
// an error of Send says about the train, batch.Sent tells.
package udp
