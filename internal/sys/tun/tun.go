package tun

import (
	"errors"
	"os"

	"wgd/internal/packet"
)

// HeaderSize is the length of the virtio header in front of every packet.
const HeaderSize = 10

// BufferSize is what Read must be given to lose nothing: the header and the
// longest packet.
const BufferSize = HeaderSize + 65535

// Caps says what the kernel granted. Without TSO and USO every packet read is
// at most MTU long, and none larger may be written.
type Caps struct {
	VnetHdr bool // the kernel speaks the virtio header itself
	TSO     bool // TCP super-packets in both directions
	USO     bool // UDP super-packets in both directions

	Existed bool // the interface was there before, and will be after Close

	Queues int // how many there can be, at least 1
	// OneQueue says why there can be one queue only, where Options.Queues asked
	// for more. Otherwise it is nil.
	OneQueue error
}

// Options of Create and FromFD. The zero value asks for all the kernel has.
type Options struct {
	NoVnetHdr bool // as on a kernel without IFF_VNET_HDR; implies NoTSO and NoUSO
	NoTSO     bool // implies NoUSO
	NoUSO     bool
	Existing  bool // also take over a persistent TUN of that name that nobody holds
	// Queues is how many queues Create asks for; 0 is 1. Several take some
	// megabytes of the kernel. Where they cannot be had there is one, and
	// Caps.OneQueue says why.
	Queues int
}

// A Queue is one file of an interface, from which packets are read.
type Queue interface {
	// Read waits for one packet or super-packet and puts its frame into b, which
	// should be BufferSize long.
	Read(b []byte) (n int, err error)
	// TryRead is Read that does not wait: ok is false when no packet is there, or
	// somebody else is reading.
	TryRead(b []byte) (n int, ok bool, err error)
	// Wait waits until TryRead may bring a packet or an error. It reads nothing,
	// so others may read meanwhile. A Device with Caps.Queues of 1 need not have
	// it: then the error is errors.ErrUnsupported.
	Wait() error
}

// Queues are all queues of an interface.
type Queues interface {
	// Queue is the one of number i, from 0 to Caps.Queues-1, whether packets come
	// to it at present or not.
	Queue(i int) Queue
	// SetQueues has packets come to the first n queues, by their flows, and ends
	// SteerToFirst. Most flows move when n changes. What waits in a queue that is
	// left out is lost: read it before.
	SetQueues(n int) error
	// SteerToFirst has all packets come to the first queue. When it returns, none
	// is on its way to another one. It reports whether the kernel does that: it
	// must permit the loading of a BPF program.
	SteerToFirst() bool
	// QueueLength is how many packets, or super-packets, a queue holds.
	QueueLength() int
}

// A Writer is one goroutine's way into an interface.
type Writer interface {
	// Write puts one packet or super-packet into the interface: the pieces, joined,
	// are its frame, and the first one has the whole header. A super-packet that
	// the kernel refuses is written packet by packet; see Device.Offloads. Any error
	// but ErrDown, ErrGone and os.ErrClosed says that all or some of it was lost.
	Write(pieces [][]byte) error
}

// A Device is one interface.
type Device interface {
	Queues

	// NewWriter is one more way to write. What is written does not move flows to
	// another queue.
	NewWriter() Writer
	// Offloads are the super-packets that may be written at present: fewer than
	// Caps says, for a while after one was refused. It costs next to nothing.
	Offloads() packet.Offloads
	// Unjoined is how many packets were written singly because the super-packet to
	// which they were joined was refused. None of them was lost.
	Unjoined() uint64

	Caps() Caps
	// Name is the present name of the interface: it follows renames. It is empty
	// when the interface is gone.
	Name() string
	// MTU is asked in the network namespace where the interface is now.
	MTU() (int, error)
	// NetNS is a new handle on the network namespace where the interface is
	// now (A55); the caller closes it. errors.ErrUnsupported where there is none.
	NetNS() (*os.File, error)

	// Close removes the interface unless it is persistent.
	Close() error
}

// What may be wrong, for errors.Is. The errors that are returned have a
// sentence for the person, and keep the system's error inside.
var (
	ErrNoDriver   = errors.New("the TUN driver is not there")
	ErrPermission = errors.New("no permission for the TUN driver")
	ErrNameTaken  = errors.New("the interface name is taken")
	ErrNotTUN     = errors.New("not a TUN descriptor")
	ErrDown       = errors.New("the interface is down")
	ErrGone       = errors.New("the interface was deleted")
	ErrNoOffload  = errors.New("the interface takes no super-packets")
)

// errMalformed is a Write that cannot be a packet behind its header.
var errMalformed = errors.New("not one packet behind its 10-byte header")

// Error is a failure of Create or FromFD: a sentence, its kind (one of the
// above), and the system's error.
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
