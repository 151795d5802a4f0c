package link

import "net/netip"

// RouteWatcher follows and looks up the routes of one network namespace.
type RouteWatcher interface {
	// Changed gets a value after routes, rules, addresses or interfaces changed in a
	// way that may change how datagrams are routed. Further changes before it is read
	// add no value.
	Changed() <-chan struct{}
	// Changes returns the prefixes to which routes may have changed since the last
	// call; AllIPv4 or AllIPv6 if that may be any.
	Changes() []netip.Prefix
	// Ask answers questions, at most MaxQuestions, in order. routes must be at
	// least as long as questions. It waits for the kernel only. After an error, no answer is valid.
	Ask(questions []Question, routes []Route) error
	Close()
}

// MaxQuestions is the maximum number of questions of one Ask.
const MaxQuestions = 32

// All destinations of a family.
var (
	AllIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	AllIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// A Question asks how a UDP datagram would be routed. The host's rules may refer to
// each of these fields.
type Question struct {
	Remote    netip.AddrPort
	Source    netip.Addr // invalid: the route chooses it
	Port      uint16     // the local one
	Mark      uint32
	Interface uint32 // by which the datagram must leave; 0: any
	// Entry asks for the entry of the routing table that decides, not for its result.
	// Then the answer has no Source. And if the datagram must leave by an interface,
	// an entry is found only if one leads there; without Entry, Linux assumes that any
	// IPv4 destination is a neighbour on that interface.
	Entry bool
}

// A Route is the answer to a Question.
type Route struct {
	Found     bool       // there is a route; if not, all other fields are zero
	Local     bool       // the destination is an address of this host
	Interface uint32     // by which datagrams leave; 0 for an Entry with several next hops
	Gateway   netip.Addr // invalid: the destination is a neighbour
	Source    netip.Addr // the source that the kernel would choose
	Table     uint32     // that has the Entry
	Bits      int        // length of the Entry's prefix
	Tunnel    bool       // the interface is a TUN or the kernel's WireGuard
	Running   bool       // the interface is up and operational
	MTU       int        // of the interface; 0: not known
	// PathMTU is the MTU of the path, if it is smaller than that of the interface: the
	// route names it, or ICMP reported it in the last ten minutes. 0: not known.
	PathMTU  int
	Reported bool // it will expire: ICMP reported it
}
