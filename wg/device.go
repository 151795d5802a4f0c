package wg

import (
	"errors"
	"os"

	"wgd/internal/packet"
	"wgd/internal/sys/tun"
)

// A Device replaces the kernel's interface: it is the source of the packets that
// the tunnel sends, and the destination of those that it receives. Package
// netstack has one.
//
// In front of each packet is a virtio header of 10 bytes (struct
// virtio_net_hdr). It may describe a TCP super-packet: several TCP segments of
// one flow, joined behind one set of headers. A Device must accept these; it
// need not return any.
type Device interface {
	// Name returns the name of the device, for logs and Status.
	Name() string
	// MTU returns the MTU in bytes. It is called once.
	MTU() (int, error)
	// Read waits for a packet and copies it to b, behind its virtio header. n
	// includes the header. b has 65,545 bytes: the header and the longest
	// packet. One goroutine at a time calls Read or TryRead.
	Read(b []byte) (n int, err error)
	// TryRead is like Read, but does not wait: ok is false if there is no
	// packet.
	TryRead(b []byte) (n int, ok bool, err error)
	// Write accepts a packet, which is the concatenation of the pieces. The
	// first piece begins with the virtio header. The pieces belong to the caller
	// again when Write returns. Several goroutines may call Write at the same
	// time.
	Write(pieces [][]byte) error
	// Close makes Read, TryRead and Write return os.ErrClosed, also calls that
	// are waiting. It may be called several times.
	Close() error
}

// device adapts a Device to the engine: an interface with one queue.
type device struct{ Device }

func (device) Caps() tun.Caps { return tun.Caps{VnetHdr: true, TSO: true, Queues: 1} }

// Offloads says that a Device accepts TCP super-packets, which a TCP/IP stack
// treats like one long segment. It would take a UDP super-packet for one
// datagram.
func (device) Offloads() packet.Offloads { return packet.Offloads{TCP: true} }
func (device) Unjoined() uint64          { return 0 }

func (d device) Queue(int) tun.Queue   { return queue(d) }
func (device) SetQueues(int) error     { return nil }
func (device) SteerToFirst() bool      { return true }
func (device) QueueLength() int        { return 0 }
func (d device) NewWriter() tun.Writer { return d.Device }

func (device) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }

// queue is the only queue of a Device. The engine calls Wait only if there are
// several.
type queue struct{ Device }

func (queue) Wait() error { return errors.ErrUnsupported }
