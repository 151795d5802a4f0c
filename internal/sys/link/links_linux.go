package link

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
)

// Links reads and changes the interfaces of the network namespace of the
// thread that opened it.
type Links struct {
	handle *netlink.Handle
	socket *nl.SocketHandle // for requests that handle cannot make

	changes *subscription // receives changes while a list is read, and nothing otherwise
}

// Open opens the interfaces of the calling thread's network namespace.
func Open() (*Links, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	socket, err := nl.GetNetlinkSocketAt(vnetns.None(), vnetns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("netlink: %w", err)
	}
	changes, err := subscribe()
	if err != nil {
		handle.Close()
		socket.Close()
		return nil, err
	}
	return &Links{handle, &nl.SocketHandle{Socket: socket}, changes}, nil
}

// request is a request on the socket that the kernel answers.
func (l *Links) request(proto, flags int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: l.socket}
	return r
}

// linkRequest is a request to change an interface.
func (l *Links) linkRequest(link netlink.Link) *nl.NetlinkRequest {
	r := l.request(unix.RTM_SETLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(link.Attrs().Index)
	r.AddData(head)
	return r
}

// OpenAt opens the interfaces of the network namespace where d is now.
func OpenAt(d Device) (links *Links, err error) {
	ns, err := d.NetNS()
	if errors.Is(err, errors.ErrUnsupported) { // so the interface can only be here
		return Open()
	}
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	err = netns.Do(ns, func() (err error) {
		links, err = Open()
		return err
	})
	return links, err
}

// Close closes the sockets.
func (l *Links) Close() {
	l.handle.Close()
	l.socket.Close()
	l.changes.close()
}

// List gives all interfaces in the order of their indices.
func (l *Links) List() ([]Info, error) {
	found, err := l.readLinks()
	if err != nil {
		return nil, failure(err, "list the interfaces")
	}
	infos := make([]Info, 0, len(found))
	for _, link := range found {
		info, err := l.info(link)
		if err != nil && errors.Is(err, ErrNotFound) {
			continue // it was deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Get is one interface; ErrNotFound if there is none of that name.
func (l *Links) Get(name string) (Info, error) {
	link, err := l.find(name)
	if err != nil {
		return Info{}, err
	}
	return l.info(link)
}

// SetMTU sets the size of the longest packet that the interface takes. Below
// MinMTUOfIPv6 the kernel removes everything about IPv6 from the interface. When the
// MTU becomes large enough again, it initializes IPv6: it creates a link-local address
// and solicits routers at once, unless the interface is dormant. Therefore SetMTU makes
// the interface dormant until it has told the kernel to create no address.
func (l *Links) SetMTU(name string, mtu int) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	begins := link.Attrs().MTU < MinMTUOfIPv6 && mtu >= MinMTUOfIPv6
	if begins && link.Attrs().Flags&net.FlagUp != 0 {
		if err := l.setOperState(link, netlink.OperDormant); err != nil {
			return failure(err, "%s: let it be dormant", name)
		}
		defer l.setOperState(link, netlink.OperUp)
	}
	if err := l.handle.LinkSetMTU(link, mtu); err != nil || !begins {
		return failure(err, "%s: set the mtu to %d", name, mtu)
	}
	return l.NoAutomaticAddress(name)
}

func (l *Links) setOperState(link netlink.Link, state netlink.LinkOperState) error {
	request := l.linkRequest(link)
	request.AddData(nl.NewRtAttr(unix.IFLA_OPERSTATE, nl.Uint8Attr(uint8(state))))
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// SetQueueLength sets how many packets may wait to leave through the interface, or to be
// read from it. Further ones are dropped.
func (l *Links) SetQueueLength(name string, packets int) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	return failure(l.handle.LinkSetTxQLen(link, packets), "%s: set txqueuelen to %d", name, packets)
}

// SetUp brings the interface up or down. When it goes down, Linux removes its IPv6
// addresses; SetAddresses restores them.
func (l *Links) SetUp(name string, up bool) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	if up {
		err := l.handle.LinkSetUp(link)
		if err == nil && link.Attrs().Flags&net.FlagUp == 0 {
			err = l.restoreRoutes(link)
		}
		return failure(err, "%s: set it up", name)
	}
	return failure(l.handle.LinkSetDown(link), "%s: set it down", name)
}

// Delete removes the interface.
func (l *Links) Delete(name string) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	return failure(l.handle.LinkDel(link), "%s: delete it", name)
}

// addrGenModeNone is IN6_ADDR_GEN_MODE_NONE.
const addrGenModeNone = 1

// NoAutomaticAddress keeps the kernel from creating a link-local address when the
// interface goes up, and so from soliciting routers. Without IPv6 it does nothing.
func (l *Links) NoAutomaticAddress(name string) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	err = l.handle.LinkSetIP6AddrGenMode(link, addrGenModeNone)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return failure(err, "%s: set addr_gen_mode to none", name)
}

// SetGSOMax limits the super-packets that the kernel hands to the interface, in bytes and
// in segments; 0 leaves a limit as it is. Kernels before 6.3 have one limit of bytes for
// both families.
func (l *Links) SetGSOMax(name string, bytes, segments int) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	if bytes > 0 {
		if err := l.handle.LinkSetGSOMaxSize(link, bytes); err != nil {
			return failure(err, "%s: set gso_max_size to %d", name, bytes)
		}
		if err := l.handle.LinkSetGSOIPv4MaxSize(link, bytes); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return failure(err, "%s: set gso_ipv4_max_size to %d", name, bytes)
		}
	}
	if segments > 0 {
		return failure(l.handle.LinkSetGSOMaxSegs(link, segments), "%s: set gso_max_segs to %d", name, segments)
	}
	return nil
}

func (l *Links) info(link netlink.Link) (info Info, err error) {
	info = infoOf(link)
	if info.Addresses, err = l.addresses(info.Index); err != nil {
		return Info{}, failure(err, "%s: list the addresses", info.Name)
	}
	return info, nil
}

func infoOf(link netlink.Link) Info {
	attrs := link.Attrs()
	kind := link.Type()
	if tuntap, ok := link.(*netlink.Tuntap); ok && tuntap.Mode == netlink.TUNTAP_MODE_TUN {
		kind = KindTUN
	}
	return Info{
		Name:      attrs.Name,
		Index:     attrs.Index,
		Kind:      kind,
		Up:        attrs.Flags&net.FlagUp != 0,
		Running:   attrs.Flags&net.FlagRunning != 0,
		Multicast: attrs.Flags&net.FlagMulticast != 0,
		MTU:       attrs.MTU,
	}
}

// failure makes a sentence of an error of the kernel: what was tried, and what is wrong.
func failure(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	var notFound netlink.LinkNotFoundError
	switch {
	case errors.As(err, &notFound), errors.Is(err, unix.ENODEV):
		return &Error{what + ": the interface does not exist", ErrNotFound, err}
	case errors.Is(err, unix.EACCES):
		return &Error{what + ": IPv6 is disabled: allow it with sysctl(8) (net.ipv6.conf.*.disable_ipv6=0)", ErrFamily, err}
	case errors.Is(err, unix.EPERM):
		return &Error{what + ": no permission: run it as root or with CAP_NET_ADMIN", ErrPermission, err}
	case errors.Is(err, unix.EEXIST):
		return &Error{what + ": it is there already", ErrExists, err}
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return &Error{what + ": the interface does not have it", ErrNoAddress, err}
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return &Error{what + ": this system does not support it", ErrFamily, err}
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE):
		return &Error{what + ": the kernel does not accept the value", ErrBadValue, err}
	}
	return &Error{what + ": " + err.Error(), nil, err}
}
