package tun

import (
	"errors"
	"os"

	"wgd/internal/packet"
)

// HeaderSize is the length of the virtio header before every packet.
const HeaderSize = 10

// BufferSize is the length of a buffer for Read that holds any frame: the header and
// the longest packet.
const BufferSize = HeaderSize + 65535

// Caps says what the kernel granted. Without TSO and USO, no packet that is read is
// longer than the MTU, and none that is written may be.
type Caps struct {
	VnetHdr bool // the kernel itself uses the virtio header
	TSO     bool // TCP super-packets in both directions
	USO     bool // UDP super-packets in both directions

	Existed bool // the interface existed before Create, and remains after Close

	Queues int // the maximum number of queues, at least 1
	// OneQueue is the reason why there is only one queue although Options.Queues
	// requested more. Otherwise it is nil.
	OneQueue error
}

// Options of Create and FromFD. The zero value requests every offload that the
// kernel has, and one queue.
type Options struct {
	NoVnetHdr bool // as on a kernel without IFF_VNET_HDR; implies NoTSO and NoUSO
	NoTSO     bool // implies NoUSO
	NoUSO     bool
	Existing  bool // also take over a persistent TUN of that name that no program has open
	// Queues is how many queues Create requests; 0 means 1. Several take some
	// megabytes of kernel memory. If the kernel refuses several, there is one, and
	// Caps.OneQueue says why.
	Queues int
}

// A Queue is one file of an interface, from which packets are read.
type Queue interface {
	// Read waits for one packet or super-packet and puts its frame into b, which
	// should be BufferSize long.
	Read(b []byte) (n int, err error)
	// TryRead is Read that does not wait: ok is false if no packet is available, or
	// another goroutine is reading.
	TryRead(b []byte) (n int, ok bool, err error)
	// Wait waits until TryRead may return a packet or an error. It reads nothing, so
	// other goroutines may read meanwhile. A Device with Caps.Queues of 1 need not
	// implement it: then it returns errors.ErrUnsupported.
	Wait() error
}

// Queues are all queues of an interface.
type Queues interface {
	// Queue returns queue i, from 0 to Caps.Queues-1, whether packets arrive at it at
	// present or not.
	Queue(i int) Queue
	// SetQueues distributes flows over the first n queues, and ends SteerToFirst.
	// Most flows move when n changes. Packets that wait in a queue that is detached
	// are lost: read them before.
	SetQueues(n int) error
	// SteerToFirst makes all packets arrive at the first queue. When it returns, no
	// packet is on its way to another one. It reports whether the kernel supports
	// that: it must permit loading a BPF program.
	SteerToFirst() bool
	// QueueLength returns how many packets, or super-packets, a queue holds.
	QueueLength() int
}

// A Writer writes packets to an interface. It is for one goroutine at a time. The Writers
// of an interface of Linux also have WriteEach, which package dataplane describes.
type Writer interface {
	// Write writes one packet or super-packet: the pieces, joined, are its frame, and
	// the first one has the whole header. A super-packet that the kernel refuses is
	// written packet by packet; see Device.Offloads. Any error but ErrDown, ErrGone
	// and os.ErrClosed means that some or all of its packets were lost.
	Write(pieces [][]byte) error
}

// A Device is one interface.
type Device interface {
	Queues

	// NewWriter returns a new Writer. What it writes does not move flows to another
	// queue.
	NewWriter() Writer
	// Offloads returns the kinds of super-packets that may be written at present:
	// fewer than in Caps, for a while after one was refused. It costs next to nothing.
	Offloads() packet.Offloads
	// Unjoined returns how many packets were written singly because the super-packet
	// to which they were joined was refused. None of them was lost.
	Unjoined() uint64

	Caps() Caps
	// Name returns the current name of the interface, which may have been renamed. It
	// is empty after the interface was deleted.
	Name() string
	// MTU returns the MTU of the interface, whatever network namespace it is in.
	MTU() (int, error)
	// NetNS returns a new handle of the network namespace where the interface is now
	// (A55); the caller closes it. The error is errors.ErrUnsupported if the kernel
	// cannot tell.
	NetNS() (*os.File, error)

	// Close removes the interface unless it is persistent.
	Close() error
}

// The kinds of errors, for errors.Is. The errors that are returned have a sentence
// for a person, and wrap the kernel's error.
var (
	ErrNoDriver   = errors.New("there is no TUN driver")
	ErrPermission = errors.New("no permission for the TUN driver")
	ErrNameTaken  = errors.New("the interface name is taken")
	ErrNotTUN     = errors.New("not a TUN descriptor")
	ErrDown       = errors.New("the interface is down")
	ErrGone       = errors.New("the interface was deleted")
	ErrNoOffload  = errors.New("the interface accepts no super-packets")
)

// errMalformed is returned for pieces that are not a header and a packet, and for
// buffers that cannot hold them.
var errMalformed = errors.New("not one packet behind its 10-byte header")

// An Error is a failure of Create or FromFD: a sentence, its kind (one of the
// above), and the kernel's error.
type Error struct {
	Text  string
	Kind  error
	Cause error // may be nil
}

func (e *Error) Error() string { return e.Text }

// Unwrap lets errors.Is find both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}
