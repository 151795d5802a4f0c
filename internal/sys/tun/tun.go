// Package tun has the network interface of a tunnel as the program sees it: a
// file of IP packets, each behind a 10-byte virtio header that says how the
// kernel may hand over many TCP or UDP segments as one packet.
package tun

import (
	"errors"
	"os"
)

// HeaderSize is the length of the virtio header (struct virtio_net_hdr,
// little-endian) in front of every packet read and written.
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
	// OneQueue says why there is one queue only, where Options.Queues asked for
	// more; nil if it did not, or there are.
	OneQueue error
}

// Options of Create and FromFD. The zero value asks for all the kernel has.
type Options struct {
	NoVnetHdr bool // as on a kernel without IFF_VNET_HDR; implies NoTSO and NoUSO
	NoTSO     bool // implies NoUSO
	NoUSO     bool
	Existing  bool // also take over a persistent TUN of that name that nobody holds
	// Queues, if it is more than 1, asks Create for a MultiQueue with so many.
	// It takes some megabytes of the kernel. Where it cannot be had, the Device
	// is none, and Caps says why.
	Queues int
}

// A Device is one tunnel interface. Any method may be called by any goroutine;
// reads are done one after the other, and so are writes.
type Device interface {
	// Name is the present name of the interface: it follows renames.
	Name() string
	// MTU is asked in the network namespace where the interface is now.
	MTU() (int, error)
	Caps() Caps
	// NetNS is a new handle on the network namespace where the interface is
	// now (A55); the caller closes it. errors.ErrUnsupported where there is none.
	NetNS() (*os.File, error)

	// Read waits for one packet (or super-packet) and puts it, behind its
	// header, into b, which should be BufferSize long. It returns os.ErrClosed
	// after Close, and ErrGone when the interface was deleted (A62).
	Read(b []byte) (n int, err error)
	// TryRead is Read that does not wait: ok is false when no packet is there
	// or somebody else is reading.
	TryRead(b []byte) (n int, ok bool, err error)
	// Write puts one packet (or super-packet) into the interface. The pieces
	// are joined; pieces[0] starts with the header. A super-packet that is
	// refused is written packet by packet; see Joiner. ErrDown while the
	// interface is down, ErrGone when it was deleted; any other error says that
	// all or some of it was lost. The pieces are the caller's again when Write
	// returns.
	Write(pieces [][]byte) error
	// Close ends Read and Write with os.ErrClosed, and removes the interface
	// unless it is persistent.
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
