package link

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink/nl"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// routes is the RouteWatcher of one namespace.
type routes struct {
	events  *subscription
	asker   *asker
	socket  *nl.SocketHandle // for list; the goroutine may be in another namespace
	changed chan struct{}
	done    chan struct{}

	mu         sync.Mutex
	pending    []netip.Prefix
	interfaces map[uint32]networkInterface
	addresses  map[address]uint32 // flags, of the addresses reported so far
}

// networkInterface is what is known about an interface.
type networkInterface struct {
	name    string
	tunnel  bool
	up      bool // IFF_UP: it was set up
	running bool // IFF_RUNNING: it is operational
	mtu     int
}

type address struct {
	index  uint32
	prefix netip.Prefix
}

// maxChanges is how many changed prefixes are kept. More count as a change of all routes.
const maxChanges = 32

// WatchRoutes follows the routes of the network namespace of the calling thread. It
// must be the namespace of the UDP sockets (A52, A55).
func WatchRoutes() (RouteWatcher, error) {
	events, err := subscribe(
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	asker, err := newAsker()
	if err != nil {
		events.close()
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	socket, err := nl.GetNetlinkSocketAt(vnetns.None(), vnetns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		events.close()
		asker.close()
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	r := &routes{
		events: events, asker: asker, socket: &nl.SocketHandle{Socket: socket},
		changed: make(chan struct{}, 1), done: make(chan struct{}),
		interfaces: make(map[uint32]networkInterface), addresses: make(map[address]uint32),
	}
	// The list is read before the first event, so that no event is older than the list.
	if err := r.list(); err != nil {
		events.close()
		asker.close()
		socket.Close()
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	go r.run()
	return r, nil
}

func (r *routes) Changed() <-chan struct{} { return r.changed }

func (r *routes) Changes() []netip.Prefix {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.pending
	r.pending = nil
	return list
}

func (r *routes) Close() {
	r.events.close()
	<-r.done
	r.asker.close()
	r.socket.Close()
}

// Ask adds what is known about the interfaces to the kernel's answers.
func (r *routes) Ask(questions []Question, answers []Route) error {
	if err := r.asker.ask(questions, answers, r.zone); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range questions {
		known := r.interfaces[answers[i].Interface]
		answers[i].Tunnel, answers[i].MTU = known.tunnel, known.mtu
		answers[i].Running = known.up && known.running
		if answers[i].PathMTU >= known.mtu {
			answers[i].PathMTU, answers[i].Reported = 0, false
		}
	}
	return nil
}

// zone returns the index of the interface that a zone names; 0 if there is none.
func (r *routes) zone(zone string) uint32 {
	if index, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(index)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for index, i := range r.interfaces {
		if i.name == zone {
			return index
		}
	}
	return 0
}

// list reads the state of all interfaces.
func (r *routes) list() error {
	messages, err := readInterfaces(r.socket)
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range messages {
		r.handleLink(unix.RTM_NEWLINK, m)
	}
	r.pending = nil
	return nil
}

func (r *routes) run() {
	defer close(r.done)
	for {
		news, err := r.events.receive()
		if err != nil {
			return // closed
		}
		if !r.handle(news) {
			continue
		}
		select {
		case r.changed <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// handle processes the events of one read, and reports whether routes may have changed.
func (r *routes) handle(news received) bool {
	if news.overrun {
		r.mu.Lock()
		clear(r.interfaces)
		clear(r.addresses)
		r.mu.Unlock()
		_ = r.list() // if it fails, interfaces are unknown until they change
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if news.overrun {
		r.note(AllIPv4, AllIPv6)
	}
	for _, m := range news.messages {
		switch kind := m.Header.Type; kind {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			r.handleRoute(m.Data)
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			r.handleAddress(kind, m.Data)
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			r.handleLink(kind, m.Data)
		case unix.RTM_NEWRULE, unix.RTM_DELRULE:
			r.note(anyOf(m.Data)...)
		case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
			r.note(AllIPv4, AllIPv6)
		}
	}
	return len(r.pending) > 0
}

// anyOf returns all destinations of the family with which a message begins.
func anyOf(message []byte) []netip.Prefix {
	switch {
	case len(message) > 0 && message[0] == unix.AF_INET:
		return []netip.Prefix{AllIPv4}
	case len(message) > 0 && message[0] == unix.AF_INET6:
		return []netip.Prefix{AllIPv6}
	}
	return []netip.Prefix{AllIPv4, AllIPv6}
}

// note records prefixes to which routes may have changed. The caller holds mu.
func (r *routes) note(prefixes ...netip.Prefix) {
	for _, p := range prefixes {
		if !r.noted(p) {
			r.pending = append(r.pending, p)
		}
	}
	if len(r.pending) > maxChanges {
		r.pending = []netip.Prefix{AllIPv4, AllIPv6}
	}
}

func (r *routes) noted(p netip.Prefix) bool {
	for _, before := range r.pending {
		if before.Bits() <= p.Bits() && before.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// handleRoute processes a struct rtmsg, which has the family and the length of the
// prefix, and its attributes.
func (r *routes) handleRoute(m []byte) {
	if len(m) < unix.SizeofRtMsg {
		return
	}
	const cloned = 0x200 // RTM_F_CLONED: an entry of the cache, for one destination
	if binary.NativeEndian.Uint32(m[8:])&cloned != 0 {
		return
	}
	any := anyOf(m)
	for kind, value := range attributes(m[unix.SizeofRtMsg:]) {
		if kind == unix.RTA_DST {
			if a, ok := netip.AddrFromSlice(value); ok {
				if p, err := a.Prefix(int(m[1])); err == nil {
					r.note(p)
					return
				}
			}
		}
	}
	r.note(any...) // a default route has no destination
}

// handleAddress processes an address that was added, changed or removed. That may change
// the sources of all routes. But the kernel also reports an address when a router
// advertisement extends its lifetime, which changes nothing.
func (r *routes) handleAddress(kind uint16, m []byte) {
	if len(m) < unix.SizeofIfAddrmsg {
		return
	}
	at := address{index: binary.NativeEndian.Uint32(m[4:])}
	flags := uint32(m[2])
	var local, peer netip.Addr
	for kind, value := range attributes(m[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_ADDRESS:
			peer, _ = netip.AddrFromSlice(value)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			if len(value) >= 4 {
				flags = binary.NativeEndian.Uint32(value)
			}
		}
	}
	if !local.IsValid() {
		local = peer
	}
	at.prefix = netip.PrefixFrom(local, int(m[1]))
	if kind == unix.RTM_DELADDR {
		delete(r.addresses, at)
	} else if before, known := r.addresses[at]; known && before == flags {
		return
	} else {
		r.addresses[at] = flags
	}
	if local.IsValid() && linkLocal.Contains(local) {
		r.note(linkLocal) // it is no source for other destinations
		return
	}
	r.note(anyOf(m)...)
}

var linkLocal = netip.MustParsePrefix("fe80::/10")

// handleLink processes an interface that was added, changed or removed. Routes come and
// go with interfaces, those of IPv4 without an event.
func (r *routes) handleLink(kind uint16, m []byte) {
	if len(m) < unix.SizeofIfInfomsg || m[0] != unix.AF_UNSPEC {
		return // a message about a port of a bridge
	}
	index := binary.NativeEndian.Uint32(m[4:])
	before, known := r.interfaces[index]
	if kind == unix.RTM_DELLINK {
		delete(r.interfaces, index)
		if known {
			r.note(AllIPv4, AllIPv6)
		}
		return
	}
	now, whole := parseLink(m)
	if !whole || known && now == before {
		return
	}
	r.interfaces[index] = now
	if !known && !now.up {
		return // there are no routes to it yet
	}
	r.note(AllIPv4, AllIPv6)
}

// parseLink reads a struct ifinfomsg and its attributes. whole is false if the message
// has only a part of them.
func parseLink(m []byte) (i networkInterface, whole bool) {
	flags := binary.NativeEndian.Uint32(m[8:])
	i.up, i.running = flags&unix.IFF_UP != 0, flags&unix.IFF_RUNNING != 0
	layer3 := binary.NativeEndian.Uint16(m[2:]) == unix.ARPHRD_NONE
	for kind, value := range attributes(m[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			i.name = unix.ByteSliceToString(value)
		case unix.IFLA_MTU:
			if whole = len(value) >= 4; whole {
				i.mtu = int(binary.NativeEndian.Uint32(value))
			}
		case unix.IFLA_LINKINFO:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_INFO_KIND {
					what := unix.ByteSliceToString(value)
					i.tunnel = layer3 && (what == KindTUN || what == kindWireGuard)
				}
			}
		}
	}
	return i, whole
}

// kindWireGuard is the Kind of the kernel's own WireGuard.
const kindWireGuard = "wireguard"
