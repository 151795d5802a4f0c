package udptest

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
)

// Net is a network: hosts with addresses, and sockets on them. Trains arrive whole
// and in order, unless a Filter or a Group's OnSend decides otherwise.
type Net struct {
	mu     sync.Mutex
	hosts  map[netip.Addr]*Host
	filter func(from, to netip.AddrPort, b *batch.Batch) bool
}

// NewNet returns a network without hosts.
func NewNet() *Net { return &Net{hosts: make(map[netip.Addr]*Host)} }

// Filter sets a function that is called with every train; if it returns false, the train
// is lost. It may change the bytes of b, which are a copy. It must not send.
func (n *Net) Filter(keep func(from, to netip.AddrPort, b *batch.Batch) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = keep
}

// A Host of a Net has addresses, which may change, and one interface of index 1.
type Host struct {
	net    *Net
	addrs  []netip.Addr
	groups map[netip.AddrPort]*Group // by wildcard address and port
	next   uint16
}

// Host adds a host. It lacks a family if none of addrs belongs to it.
func (n *Net) Host(addrs ...netip.Addr) *Host {
	h := &Host{net: n, groups: make(map[netip.AddrPort]*Group), next: 40000}
	for _, a := range addrs {
		h.AddAddr(a)
	}
	return h
}

// AddAddr adds an address to the host, and removes it from any other host.
func (h *Host) AddAddr(a netip.Addr) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if old := h.net.hosts[a]; old != nil {
		old.addrs = slices.DeleteFunc(old.addrs, func(b netip.Addr) bool { return a == b })
	}
	h.addrs = append(h.addrs, a)
	h.net.hosts[a] = h
}

// RemoveAddr removes an address: sending from it then returns udp.ErrSourceGone.
func (h *Host) RemoveAddr(a netip.Addr) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.hosts[a] == h {
		delete(h.net.hosts, a)
	}
	h.addrs = slices.DeleteFunc(h.addrs, func(b netip.Addr) bool { return a == b })
}

// Listen is udp.Listen on the host. The Groups of the Pair are of type *Group.
func (h *Host) Listen(port uint16, o udp.Options) (*udp.Pair, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if port == 0 {
		for h.taken(h.next) {
			h.next++
		}
		port = h.next
		h.next++
	} else if h.taken(port) {
		return nil, &udp.PortTaken{Port: port, Cause: os.ErrExist}
	}
	p := udp.NewPair(nil, nil, port)
	if g := h.open(netip.IPv4Unspecified(), port, o.NoIPv4, o); g != nil {
		p.V4 = g
	}
	if g := h.open(netip.IPv6Unspecified(), port, o.NoIPv6, o); g != nil {
		p.V6 = g
	}
	if len(p.Groups()) == 0 {
		return nil, udp.ErrNoFamily
	}
	return p, nil
}

func (h *Host) taken(port uint16) bool {
	return h.groups[netip.AddrPortFrom(netip.IPv4Unspecified(), port)] != nil ||
		h.groups[netip.AddrPortFrom(netip.IPv6Unspecified(), port)] != nil
}

func (h *Host) open(any netip.Addr, port uint16, without bool, o udp.Options) *Group {
	if without || !h.source(any.Is4()).IsValid() {
		return nil
	}
	g := &Group{
		host: h, local: netip.AddrPortFrom(any, port), mark: o.Mark,
		caps: udp.Caps{GSO: !o.NoGSO, GRO: !o.NoGRO, RecvBuffer: udp.BufferSize, SendBuffer: udp.BufferSize},
	}
	g.sockets = []*socket{newSocket()}
	h.groups[g.local] = g
	return g
}

// source returns the default source address of a family.
func (h *Host) source(v4 bool) netip.Addr {
	for _, a := range h.addrs {
		if a.Is4() == v4 {
			return a
		}
	}
	return netip.Addr{}
}

// errUnreachable says that the host has no address of the family left.
var errUnreachable = errors.New("network is unreachable")

// deliver passes a train to the socket at to, if there is one. The caller holds mu.
func (n *Net) deliver(from, to netip.AddrPort, b batch.Batch) {
	to = netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port())
	b.Data = slices.Clone(b.Data)
	b.Remote = wire.NewEndpoint(from, to.Addr(), 1)
	if n.filter != nil && !n.filter(from, to, &b) {
		return
	}
	host := n.hosts[to.Addr()]
	if host == nil {
		return
	}
	wildcard := netip.IPv6Unspecified()
	if to.Addr().Is4() {
		wildcard = netip.IPv4Unspecified()
	}
	if g := host.groups[netip.AddrPortFrom(wildcard, to.Port())]; g != nil {
		g.arrive(b)
	}
}

// is4 reports whether a is an IPv4 address, which may be IPv4-mapped (A54).
func is4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }
