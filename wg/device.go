package wg

import (
	"errors"
	"os"

	"wgd/internal/packet"
	"wgd/internal/sys/tun"
)

// A Device replaces the kernel's interface: it is the source of the packets that
// the tunnel sends, and the destination of those that it receives. Package
// netstack has one, and the example of Device another one.
//
// A Device exchanges frames. A frame is a header of 10 bytes (the kernel's struct
// virtio_net_hdr, with numbers in little-endian) and an IPv4 or IPv6 packet
// behind it, without a link-layer header. The header is
//
//	offset  size  field
//	0       1     flags: 1 means that the checksum is not complete; 2 is ignored
//	1       1     type: 0 is one packet, 1 a super-packet of TCP over IPv4,
//	              4 one of TCP over IPv6; 0x80 is added if CWR is set
//	2       2     length of all headers of the packet in bytes (a hint)
//	4       2     payload of each segment in bytes, but the last may be shorter
//	6       2     start of the transport header in the packet
//	8       2     position of its checksum, from there
//
// Ten zero bytes are the header of a single packet with a complete checksum.
// If the checksum is not complete, its field has the sum of the pseudo header: the
// receiver adds the bytes from the transport header on, and stores the complement.
// A super-packet is several TCP segments of one flow, joined behind one set of
// headers; its checksum is not complete. Write must accept super-packets. Read
// need not return any.
type Device interface {
	// Name returns the name of the device, for logs and Status.
	Name() string
	// MTU returns the MTU in bytes. Open calls it once. After an error the MTU
	// counts as 0.
	MTU() (int, error)
	// Read waits for a frame and copies it to b. n is its length in bytes,
	// including the header. b has 65,545 bytes, which is enough for the header and
	// the longest packet; it belongs to the caller, and Read must not keep it.
	// One goroutine at a time calls Read or TryRead.
	//
	// After os.ErrClosed the Interface ends, with ErrInterfaceGone. After another
	// error it tries again, and ends after nine errors in a row.
	Read(b []byte) (n int, err error)
	// TryRead is like Read, but does not wait: ok is false if there is no frame.
	TryRead(b []byte) (n int, ok bool, err error)
	// Write takes a frame, which is the concatenation of the pieces. The first
	// piece has at least the whole header. The pieces belong to the caller again
	// when Write returns, so Write copies what it keeps. It should not wait: other
	// packets of the tunnel wait meanwhile. After an error the packet is lost, and
	// counted. Several goroutines may call Write at the same time.
	Write(pieces [][]byte) error
	// Close makes Read, TryRead and Write return os.ErrClosed, also calls that
	// are waiting. It may be called several times, and from any goroutine.
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
