package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// A Device is the interface to be watched. The Device of sys/tun is one. Both methods
// follow the interface into another namespace.
type Device interface {
	NetNS() (*os.File, error) // a new handle each time; the caller closes it
	Name() string             // in that namespace; "" if the interface is gone
}

// State is the state of a watched interface.
type State struct {
	Up   bool // IFF_UP: it was set up
	MTU  int
	Gone bool // it was deleted; the other fields are not valid, and no State follows
}

// Watcher follows an interface.
type Watcher interface {
	// States delivers the state at the beginning and then every change, even if the
	// interface goes down and up again at once. (In another namespace, without
	// CAP_NET_BROADCAST, the state is read twice a second only.) The channel is closed
	// after Gone, and by Close.
	States() <-chan State
	Close()
}

// Info describes an interface.
type Info struct {
	Name      string
	Index     int
	Kind      string // "tun", "wireguard", …; "" for hardware
	Up        bool   // IFF_UP: it was set up
	Running   bool   // IFF_RUNNING: it is operational
	Multicast bool   // IFF_MULTICAST: programs may send to groups through it
	MTU       int
	Addresses []Address // as the kernel lists them: IPv4, then IPv6
}

// Address is an address of an interface.
type Address struct {
	Prefix netip.Prefix // of the interface; with a Peer, the length is that of the Peer's prefix
	Peer   netip.Addr   // of the other end, if that has an address of its own; otherwise invalid

	// The states of an IPv6 address: not used until it is known to be unique, not used
	// for new connections, not unique, replaced from time to time.
	Tentative, Deprecated, Duplicated, Temporary bool

	// Automatic: the kernel has chosen this link-local address. Kernels before 5.18 do
	// not report it.
	Automatic bool

	record record
}

// record holds everything else that the kernel reports about an address, for adding it
// again unchanged: label, metric, lifetimes, and what later kernels may add.
type record struct {
	scope uint8
	flags uint32
	rest  []attribute
}

type attribute struct {
	kind  uint16
	value []byte
}

// String returns the address as ip(8) shows it.
func (a Address) String() string {
	if !a.Peer.IsValid() {
		return a.Prefix.String()
	}
	return fmt.Sprintf("%v peer %v", a.Prefix.Addr(), netip.PrefixFrom(a.Peer, a.Prefix.Bits()))
}

// Same reports whether both have the same address and the same peer, regardless of
// everything else.
func (a Address) Same(other Address) bool { return a.Prefix == other.Prefix && a.Peer == other.Peer }

// MinMTUOfIPv6 is the MTU below which Linux has no IPv6 on an interface.
const MinMTUOfIPv6 = 1280

// KindTUN is the Kind of a TUN interface.
const KindTUN = "tun"

// The kinds of errors, for errors.Is. The returned errors are sentences.
var (
	ErrNotFound   = errors.New("the interface does not exist")
	ErrPermission = errors.New("no permission to change interfaces")
	ErrExists     = errors.New("the address is there already")
	ErrNoAddress  = errors.New("the interface does not have the address")
	ErrNoRoute    = errors.New("no route")
	ErrNoRule     = errors.New("no such rule")
	ErrFamily     = errors.New("the system has no such address family")
	ErrBadValue   = errors.New("the kernel does not accept the value")
)

// Error describes a failed operation: a sentence, its kind (one of the above, or nil),
// and the kernel's error.
type Error struct {
	Text  string
	Kind  error
	Cause error
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind and the cause, for errors.Is.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Cause}
	}
	return []error{e.Kind, e.Cause}
}
