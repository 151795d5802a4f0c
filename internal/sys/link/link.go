package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// Device is the interface to be watched, as its owner knows it: sys/tun's
// Device is one. Both methods follow the interface into another namespace.
type Device interface {
	NetNS() (*os.File, error) // a new handle each time; the caller closes it
	Name() string             // in that namespace; "" when the interface is gone
}

// State is what became of a watched interface.
type State struct {
	Up   bool // a person wants it up (IFF_UP)
	MTU  int
	Gone bool // it was deleted; the other fields mean nothing, and no State follows
}

// Watcher follows an interface.
type Watcher interface {
	// States gives the state at the beginning and then every change, none
	// left out: one that goes down and at once up again is seen to have been
	// down. (In a foreign namespace, without CAP_NET_BROADCAST, it is looked
	// at twice a second only.) Closed after Gone, and by Close.
	States() <-chan State
	Close()
}

// Info is one interface as it is.
type Info struct {
	Name      string
	Index     int
	Kind      string // "tun", "wireguard", …; "" for hardware
	Up        bool   // a person wants it up
	Running   bool   // it works
	Multicast bool   // programs may send to groups through it (IFF_MULTICAST)
	MTU       int
	Addresses []Address // as the kernel lists them: IPv4, then IPv6
}

// Address is one of an interface.
type Address struct {
	Prefix netip.Prefix // the interface's own; with a Peer the length is that one's
	Peer   netip.Addr   // the other end's, if it has one of its own; else invalid

	// What IPv6 says of it: no packet is sent from it yet, or by those who begin
	// now; somebody else has it, too; it is one of those that change now and then.
	Tentative, Deprecated, Duplicated, Temporary bool

	// Automatic is a link-local address that the kernel has made up. Kernels before
	// 5.18 do not tell.
	Automatic bool

	record record
}

// record is what the kernel has told about an address beside, to be given back as
// it is: its label, metric, lifetimes, and whatever is to come.
type record struct {
	scope uint8
	flags uint32
	rest  []attribute
}

type attribute struct {
	kind  uint16
	value []byte
}

// String is the address as ip(8) shows it.
func (a Address) String() string {
	if !a.Peer.IsValid() {
		return a.Prefix.String()
	}
	return fmt.Sprintf("%v peer %v", a.Prefix.Addr(), netip.PrefixFrom(a.Peer, a.Prefix.Bits()))
}

// Same reports whether both are one address with one peer, whatever else the
// kernel knows about them.
func (a Address) Same(other Address) bool { return a.Prefix == other.Prefix && a.Peer == other.Peer }

// LeastMTUOfIPv6 is the MTU below which Linux has no IPv6 on an interface.
const LeastMTUOfIPv6 = 1280

// KindTUN is the Kind of a TUN interface.
const KindTUN = "tun"

// What may be wrong, for errors.Is. The errors returned are sentences.
var (
	ErrNotFound   = errors.New("the interface does not exist")
	ErrPermission = errors.New("no permission to change interfaces")
	ErrExists     = errors.New("the address is there already")
	ErrNoAddress  = errors.New("the interface does not have the address")
	ErrFamily     = errors.New("the system has no such address family")
	ErrBadValue   = errors.New("the kernel does not accept the value")
)

// Error is a failure of an operation: a sentence, its kind (one of the above
// or nil), and the system's error.
type Error struct {
	Text  string
	Kind  error
	Cause error
}

func (e *Error) Error() string { return e.Text }

// Unwrap lets errors.Is find the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Cause}
	}
	return []error{e.Kind, e.Cause}
}
