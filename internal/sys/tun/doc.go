// Package tun has the network interface of a tunnel as a program sees it: files
// from which it reads the packets that the host sends into the tunnel, and to
// which it writes the packets that come out.
//
// # Frames
//
// A frame is a packet behind a virtio header of HeaderSize bytes (struct
// virtio_net_hdr, little-endian; package packet encodes and decodes it). The
// header may say that the packet is a super-packet: TCP or UDP segments of one
// flow that are joined. Caps says which kinds the kernel hands out and takes,
// Device.Offloads which of these it takes at present.
//
// # Queues
//
// A Device has one Queue or several, each a file of its own. At first all packets
// come to the first one; after SetQueues the kernel sends every flow to one of the
// first n, always the same one. Caps.Queues is how many there can be.
//
// # Goroutines and buffers
//
// Any goroutine may call any method, with these exceptions: a Writer belongs to
// one goroutine at a time, only one goroutine at a time may be in Wait of a Queue,
// and calls of SetQueues and SteerToFirst must not overlap. Reads of a queue take
// place one after the other; a TryRead that would have to wait for another reader
// reads nothing. Writers do not wait for each other.
//
// Buffers are the caller's. A Read fills the beginning of the buffer that it was
// given; a Write has used its pieces when it returns. Neither allocates.
//
// # Errors
//
// After Close every call ends with os.ErrClosed, also one that waits; after
// somebody else deleted the interface with ErrGone (A62). A Write says ErrDown
// while the interface is down. Errors of Create and FromFD are sentences for a
// person; errors.Is finds their kind (ErrNameTaken and so on) and the kernel's
// error in them.
package tun
