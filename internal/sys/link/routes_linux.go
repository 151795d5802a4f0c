package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routes is the RouteWatcher of one namespace.
type routes struct {
	events  *subscription
	handle  *netlink.Handle
	changed chan struct{}
	done    chan struct{}
}

// WatchRoutes follows the routes of the network namespace of the calling
// thread: the one in which the UDP sockets are (A52, A55).
func WatchRoutes() (RouteWatcher, error) {
	events, err := subscribe(
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		events.close()
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	r := &routes{events: events, handle: handle, changed: make(chan struct{}, 1), done: make(chan struct{})}
	go r.run()
	return r, nil
}

func (r *routes) run() {
	defer close(r.done)
	for {
		news, err := r.events.receive()
		if err != nil {
			return // closed
		}
		if len(news.messages) == 0 && !news.overrun {
			continue
		}
		select {
		case r.changed <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func (r *routes) Changed() <-chan struct{} { return r.changed }

func (r *routes) Close() {
	r.events.close()
	<-r.done
	r.handle.Close()
}

// Index asks the kernel as a socket with that mark would.
func (r *routes) Index(remote, source netip.Addr, mark uint32) (int, error) {
	remote = remote.Unmap()
	options := &netlink.RouteGetOptions{Mark: mark}
	if source.IsValid() {
		options.SrcAddr = net.IP(source.Unmap().WithZone("").AsSlice())
	}
	if zone := remote.Zone(); zone != "" {
		options.OifIndex = r.zoneIndex(zone)
	}
	found, err := r.handle.RouteGetWithOptions(net.IP(remote.AsSlice()), options)
	switch {
	case err == nil && len(found) > 0:
		return found[0].LinkIndex, nil
	case err == nil, errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH),
		errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL):
		// What unreachable, prohibit and blackhole routes answer.
		return 0, fmt.Errorf("%w to %s", ErrNoRoute, remote)
	}
	return 0, fmt.Errorf("route to %s: %w", remote, err)
}

// zoneIndex is the interface of a link-local address, 0 if there is none.
func (r *routes) zoneIndex(zone string) int {
	if index, err := strconv.Atoi(zone); err == nil {
		return index
	}
	l, err := r.handle.LinkByName(zone)
	if err != nil {
		return 0
	}
	return l.Attrs().Index
}
