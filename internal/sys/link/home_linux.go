package link

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
)

// atHome stands for the number of the home namespace, which has none. The kernel uses the
// same value for "no number".
const atHome = -1

// home is the network namespace in which the watcher was started. On request the kernel
// gives other namespaces numbers that are valid there, by which their interfaces can be
// read and their events received. Unlike a file or a socket, a number does not keep a
// namespace alive (B52).
type home struct {
	ns     *os.File
	handle *netlink.Handle
}

func newHome() (*home, error) {
	ns, err := netns.Here()
	if err != nil {
		return nil, err
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return nil, err
	}
	return &home{ns, handle}, nil
}

// duplicate returns another file of the namespace.
func (h *home) duplicate() (*os.File, error) {
	fd, err := unix.FcntlInt(h.ns.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), h.ns.Name()), nil
}

// number is the number of a namespace. If it has none yet, the kernel gives it one.
func (h *home) number(ns *os.File) (int, error) {
	if netns.Same(h.ns, ns) {
		return atHome, nil
	}
	fd := int(ns.Fd())
	id, err := h.handle.GetNetNsIdByFd(fd)
	if err == nil && id < 0 {
		if err = h.handle.SetNetNsIdByFd(fd, -1); err == nil || err == unix.EEXIST {
			id, err = h.handle.GetNetNsIdByFd(fd)
		}
	}
	if err == nil && id < 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return 0, fmt.Errorf("number the interface's network namespace: %w", err)
	}
	return id, nil
}

// subscribe subscribes to events about the interfaces of a namespace, and then reads the
// state of one of them. events is nil where the process may not receive events.
func (h *home) subscribe(id int, name string) (events *subscription, index int, state State, err error) {
	err = netns.Do(h.ns, func() error {
		if events, err = listen(id); err != nil {
			return err
		}
		index, state, err = read(id, name)
		return err
	})
	if err != nil && events != nil {
		events.close()
	}
	return events, index, state, err
}

// listen subscribes to the interfaces of the namespace with that number in the calling
// thread's. It receives from all namespaces only if it has to, since on some machines
// there are many events in them.
func listen(id int) (*subscription, error) {
	if id == atHome {
		return subscribe(unix.RTNLGRP_LINK)
	}
	events, err := subscribe(unix.RTNLGRP_LINK, unix.RTNLGRP_NSID)
	if err != nil {
		return nil, err
	}
	if events.receiveFromOthers() != nil {
		events.close()
		return nil, nil
	}
	return events, nil
}

// read reads an interface of the namespace with that number in the calling thread's.
// Unlike entering the namespace, that does not need CAP_SYS_ADMIN.
func read(id int, name string) (index int, state State, err error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if id != atHome {
		request.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(id))))
	}
	answers, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return 0, State{}, failure(err, "%s", name)
	}
	if len(answers) == 0 {
		return 0, State{}, failure(unix.ENODEV, "%s", name)
	}
	return stateOf(nil, answers[0])
}

// stateOf reads the index and the state of an interface from a message.
func stateOf(header *syscall.NlMsghdr, message []byte) (index int, state State, err error) {
	l, err := netlink.LinkDeserialize((*unix.NlMsghdr)(header), message)
	if err != nil {
		return 0, State{}, err
	}
	attrs := l.Attrs()
	return attrs.Index, State{Up: attrs.Flags&net.FlagUp != 0, MTU: attrs.MTU}, nil
}

func (h *home) close() {
	h.ns.Close()
	h.handle.Close()
}
