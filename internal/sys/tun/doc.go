// Package tun creates and opens TUN interfaces: network interfaces from which a
// program reads the packets that the host sends into a tunnel, and to which it writes
// the packets that come out of it.
//
// # Frames
//
// A frame is a virtio header of HeaderSize bytes (struct virtio_net_hdr,
// little-endian; package packet encodes and decodes it) and a packet. The header may
// mark the packet as a super-packet, which consists of joined TCP or UDP segments of
// one flow. Caps says which kinds of super-packets the kernel supports, and
// Device.Offloads which of these it accepts at present.
//
// # Queues
//
// A Device has one or several Queues, each with a file of its own. At first all
// packets arrive at the first one. After SetQueues(n), the kernel assigns each flow to
// one of the first n queues. Caps.Queues is the maximum.
//
// # Goroutines and buffers
//
// All methods may be called concurrently, with these exceptions: only one goroutine
// at a time may use a Writer, or call Wait of a Queue, and calls of SetQueues and
// SteerToFirst must not overlap. Reads of a queue exclude each other; a TryRead that
// would have to wait for another reader reads nothing. Writers do not wait for each
// other.
//
// The caller owns all buffers. A Read fills the beginning of its buffer; a Write does
// not keep its pieces after it returns. Neither allocates.
//
// # Errors
//
// After Close, every call returns os.ErrClosed, also one that is waiting. After
// another program has deleted the interface, every call returns ErrGone (A62). Write
// returns ErrDown while the interface is down. Errors of Create and FromFD are
// sentences for a person; errors.Is finds their kind (ErrNameTaken and so on) and the
// kernel's error in them.
package tun
