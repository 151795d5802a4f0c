package link

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// atHome stands for the number of the namespace home, which has none. The
// kernel's word for "no number" is the same.
const atHome = -1

// home is the network namespace of the thread that made it. The kernel numbers
// other namespaces as seen from there, on request, and a socket at home hears
// the events of all that have a number. So the interface is followed into any
// namespace without a socket in it (B52).
type home struct {
	ns     os.FileInfo
	events *subscription
	handle *netlink.Handle
	all    error // why events of other namespaces are not heard; nil when they are
}

func newHome() (*home, error) {
	ns, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	events, err := subscribe(unix.RTNLGRP_LINK, unix.RTNLGRP_NSID)
	if err != nil {
		return nil, err
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		events.close()
		return nil, err
	}
	h := &home{ns: ns, events: events, handle: handle}
	// It needs CAP_NET_BROADCAST, which matters only when the interface moves.
	err = events.conn.Control(func(fd uintptr) {
		h.all = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	})
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// number is the number of a namespace as seen from home, given to it now if it
// has none yet.
func (h *home) number(ns *os.File, info os.FileInfo) (int, error) {
	if os.SameFile(h.ns, info) {
		return atHome, nil
	}
	if h.all != nil {
		return 0, fmt.Errorf("hear events of other network namespaces: %w", h.all)
	}
	id, err := h.handle.GetNetNsIdByFd(int(ns.Fd()))
	if err == nil && id < 0 {
		// An error may mean that somebody was faster: then it has one.
		_ = h.handle.SetNetNsIdByFd(int(ns.Fd()), -1)
		id, err = h.handle.GetNetNsIdByFd(int(ns.Fd()))
	}
	if err == nil && id < 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return 0, fmt.Errorf("number the network namespace: %w", err)
	}
	return id, nil
}

func (h *home) close() {
	h.events.close()
	h.handle.Close()
}
