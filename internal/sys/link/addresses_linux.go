package link

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	ifaProto      = 11 // IFA_PROTO: who made the address
	protoKernelLL = 3  // IFAPROT_KERNEL_LL: the kernel made up a link-local one

	// promoteSecondaries is IPV4_DEVCONF_PROMOTE_SECONDARIES.
	promoteSecondaries = 20
)

// addresses are those of the interface with that index, as the kernel lists them.
func (l *Links) addresses(index int) ([]Address, error) {
	request := l.request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	var list []Address
	for _, message := range messages {
		a, at, err := parseAddress(message)
		if err == nil && at == index && a.Prefix.IsValid() {
			list = append(list, a)
		}
	}
	return list, nil
}

// parseAddress reads one message about an address, and at which interface it is.
func parseAddress(message []byte) (a Address, index int, err error) {
	if len(message) < unix.SizeofIfAddrmsg || len(message)%unix.RTA_ALIGNTO != 0 { // the library relies on it
		return a, 0, unix.EINVAL
	}
	head := nl.DeserializeIfAddrmsg(message)
	attributes, err := nl.ParseRouteAttr(message[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, 0, err
	}
	a.record.scope = head.Scope
	// The far end is IFA_ADDRESS and ours IFA_LOCAL. Without a far end IPv4 has the
	// same in both, and IPv6 only IFA_ADDRESS.
	var ours, far netip.Addr
	for _, one := range attributes {
		kind, value := one.Attr.Type, one.Value
		switch ip, _ := netip.AddrFromSlice(value); {
		case kind == unix.IFA_LOCAL:
			ours = ip
		case kind == unix.IFA_ADDRESS:
			far = ip
		case kind == unix.IFA_FLAGS && len(value) >= 4:
			a.setFlags(head.Family, binary.NativeEndian.Uint32(value))
		default:
			a.record.rest = append(a.record.rest, attribute{kind, value})
			a.Automatic = a.Automatic || kind == ifaProto && len(value) > 0 && value[0] == protoKernelLL
		}
	}
	if !ours.IsValid() {
		ours = far
	}
	a.Prefix = netip.PrefixFrom(ours, int(head.Prefixlen))
	if far != ours {
		a.Peer = far
	}
	return a, int(head.Index), nil
}

func (a *Address) setFlags(family uint8, flags uint32) {
	a.record.flags = flags
	if family == unix.AF_INET6 { // of IPv4's one has the same number
		a.Tentative, a.Deprecated = flags&unix.IFA_F_TENTATIVE != 0, flags&unix.IFA_F_DEPRECATED != 0
		a.Duplicated, a.Temporary = flags&unix.IFA_F_DADFAILED != 0, flags&unix.IFA_F_TEMPORARY != 0
	}
}

// AddAddress gives the interface an address; the prefix's address is the
// interface's own. ErrExists if the kernel takes one that is there for the same:
// an IPv4 address in the same network, an IPv6 address with any prefix length.
func (l *Links) AddAddress(name string, address netip.Prefix) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	err = l.put(link, Address{Prefix: address}, unix.NLM_F_EXCL)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		err = unix.EINVAL // the same word as that for an address which is not there to be removed
	}
	return failure(err, "%s: add the address %s", name, address)
}

// DeleteAddress takes one of its addresses away from the interface, and no other
// one: by itself the kernel deletes all addresses of a network with the first of
// them. ErrNoAddress if it is not there.
func (l *Links) DeleteAddress(name string, address Address) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	if address.Prefix.Addr().Is4() {
		if err := l.keepSecondaries(link); err != nil {
			return failure(err, "%s: set promote_secondaries", name)
		}
	}
	return failure(l.remove(link, address), "%s: remove the address %s", name, address)
}

// forgetAutomaticAddresses is NoAutomaticAddress where it may come too late.
func (l *Links) forgetAutomaticAddresses(name string) error {
	if err := l.NoAutomaticAddress(name); err != nil {
		return err
	}
	info, err := l.Get(name)
	for _, a := range info.Addresses {
		if a.Automatic {
			err = errors.Join(err, l.DeleteAddress(name, a))
		}
	}
	return err
}

// SetAddresses lets the interface have the addresses of a list that Get has
// given, with all that belonged to them, in the same order, which decides about
// the source of packets. Those that are there already stay; what is after the
// first difference is deleted and added again.
func (l *Links) SetAddresses(name string, want []Address) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	now, err := l.addresses(link.Attrs().Index)
	if err != nil {
		return failure(err, "%s: list the addresses", name)
	}
	var errs []error
	for _, is4 := range []bool{true, false} {
		have, want := inOrder(now, is4), inOrder(want, is4)
		same := 0
		for same < min(len(have), len(want)) && have[same].Same(want[same]) {
			same++
		}
		for _, a := range have[same:] {
			errs = append(errs, l.DeleteAddress(name, a))
		}
		for _, a := range want[same:] {
			if err := l.put(link, a, unix.NLM_F_EXCL); !errors.Is(err, unix.EEXIST) && !a.expired() {
				errs = append(errs, failure(err, "%s: add the address %s again", name, a))
			}
		}
	}
	return errors.Join(errs...)
}

// restoreRoutes is for an interface that has gone up with IPv6 addresses. The
// kernel makes the routes that belong to them, but for the one to a peer, and the
// one of an address that has a lifetime; these it makes when it is told of the
// address again.
func (l *Links) restoreRoutes(link netlink.Link) error {
	list, err := l.addresses(link.Attrs().Index)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range list {
		if a.Prefix.Addr().Is6() && (a.Peer.IsValid() || a.record.flags&unix.IFA_F_PERMANENT == 0) && !a.expired() {
			errs = append(errs, l.put(link, a, unix.NLM_F_REPLACE))
		}
	}
	return errors.Join(errs...)
}

// inOrder are the addresses of a family in the order in which they have to be
// added to be listed so: the kernel lists an IPv6 address before older ones.
func inOrder(list []Address, is4 bool) []Address {
	list = slices.DeleteFunc(slices.Clone(list), func(a Address) bool { return a.Prefix.Addr().Is4() != is4 })
	if !is4 {
		slices.Reverse(list)
	}
	return list
}

// put gives the interface an address with all that is in its record, and without
// duplicate address detection: nobody is on the other side of a tunnel's
// interface to have the same one. mode is NLM_F_EXCL or NLM_F_REPLACE.
func (l *Links) put(link netlink.Link, a Address, mode int) error {
	flags := a.record.flags
	if a.Prefix.Addr().Is6() {
		flags |= unix.IFA_F_NODAD
	}
	request := l.addressRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|mode, link, a)
	request.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	for _, one := range a.record.rest {
		request.AddData(nl.NewRtAttr(int(one.kind), one.value))
	}
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func (l *Links) remove(link netlink.Link, a Address) error {
	_, err := l.addressRequest(unix.RTM_DELADDR, 0, link, a).Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// addressRequest names an address: our end, the other one and the prefix length.
func (l *Links) addressRequest(proto, flags int, link netlink.Link, a Address) *nl.NetlinkRequest {
	request := l.request(proto, flags)
	head := nl.NewIfAddrmsg(unix.AF_INET)
	if a.Prefix.Addr().Is6() {
		head.Family = unix.AF_INET6
	}
	head.Prefixlen, head.Scope, head.Index = uint8(a.Prefix.Bits()), a.record.scope, uint32(link.Attrs().Index)
	far := a.Prefix.Addr()
	if a.Peer.IsValid() {
		far = a.Peer
	}
	request.AddData(head)
	request.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.Prefix.Addr().AsSlice()))
	request.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, far.AsSlice()))
	return request
}

// expired reports whether the last second of the address's lifetime had begun
// when it was read: the kernel gives nobody an address that has ended.
func (a Address) expired() bool {
	for _, one := range a.record.rest {
		if one.kind == unix.IFA_CACHEINFO && len(one.value) >= unix.SizeofIfaCacheinfo {
			return nl.DeserializeIfaCacheInfo(one.value).Valid == 0
		}
	}
	return false
}

// keepSecondaries has the kernel keep the other addresses of a network when the
// first of them, which is the one with the route, is deleted: the next one takes
// its place in the same moment.
func (l *Links) keepSecondaries(link netlink.Link) error {
	request := l.linkRequest(link)
	families := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	families.AddRtAttr(unix.AF_INET, nil).AddRtAttr(unix.IFLA_INET_CONF, nil).AddRtAttr(promoteSecondaries, nl.Uint32Attr(1))
	request.AddData(families)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
