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
	protoKernelLL = 3  // IFAPROT_KERNEL_LL: the kernel created it, a link-local one

	// promoteSecondaries is IPV4_DEVCONF_PROMOTE_SECONDARIES.
	promoteSecondaries = 20
)

// addresses are the addresses of the interface with that index, as the kernel lists them.
func (l *Links) addresses(index int) ([]Address, error) {
	messages, err := l.readAddresses()
	if err != nil {
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

// parseAddress reads a message about an address, and the index of its interface.
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
	// IFA_LOCAL is the local address and IFA_ADDRESS the peer's. Without a peer, IPv4 has
	// the local one in both, and IPv6 has it in IFA_ADDRESS alone.
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
	if family == unix.AF_INET6 { // a flag of IPv4 has the number of one of these
		a.Tentative, a.Deprecated = flags&unix.IFA_F_TENTATIVE != 0, flags&unix.IFA_F_DEPRECATED != 0
		a.Duplicated, a.Temporary = flags&unix.IFA_F_DADFAILED != 0, flags&unix.IFA_F_TEMPORARY != 0
	}
}

// AddAddress adds an address to the interface: that of the prefix. The error is ErrExists
// if the kernel considers an existing address the same: the same IPv4 address with the
// same network, or the same IPv6 address with any prefix length.
func (l *Links) AddAddress(name string, address netip.Prefix) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	err = l.put(link, Address{Prefix: address}, unix.NLM_F_EXCL)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		err = unix.EINVAL // for failure EADDRNOTAVAIL is an address that is to be removed and not there
	}
	return failure(err, "%s: add the address %s", name, address)
}

// AddPlainAddress adds an address as ip(8) does. The kernel checks one of IPv6 for
// duplicates in the background, and it is Tentative, and cannot be used, until that has
// ended; on a TUN interface that is a moment after the interface has gone up.
func (l *Links) AddPlainAddress(name string, address netip.Prefix) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	return failure(l.putWithFlags(link, Address{Prefix: address}, 0, unix.NLM_F_EXCL), "%s: add the address %s", name, address)
}

// DeletePlainAddress removes an address that AddPlainAddress added.
func (l *Links) DeletePlainAddress(name string, address netip.Prefix) error {
	return l.DeleteAddress(name, Address{Prefix: address})
}

// DeleteAddress removes one address from the interface, and only that one: by default
// the kernel removes all addresses of a network with the first of them. The error is
// ErrNoAddress if the address is not there.
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

// forgetAutomaticAddresses is NoAutomaticAddress for when the kernel may have created one
// already.
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

// SetAddresses gives the interface the addresses of a list that Get has returned, with
// all their attributes and in the same order, on which the source addresses of packets
// depend. The addresses before the first difference stay; those after it are removed and
// added again.
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

// restoreRoutes is called for an interface that has gone up with IPv6 addresses. The
// kernel creates the routes of the addresses, except the route to a peer and that of an
// address with a lifetime. It creates these when the address is added again.
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

// inOrder are the addresses of a family in the order in which they must be added so that
// the kernel lists them in this order: it lists an IPv6 address before older ones.
func inOrder(list []Address, is4 bool) []Address {
	list = slices.DeleteFunc(slices.Clone(list), func(a Address) bool { return a.Prefix.Addr().Is4() != is4 })
	if !is4 {
		slices.Reverse(list)
	}
	return list
}

// put adds an address with everything in its record, and without duplicate address
// detection: on a tunnel's interface there is no link on which another host could have
// the same one. mode is NLM_F_EXCL or NLM_F_REPLACE.
func (l *Links) put(link netlink.Link, a Address, mode int) error {
	flags := a.record.flags
	if a.Prefix.Addr().Is6() {
		flags |= unix.IFA_F_NODAD
	}
	return l.putWithFlags(link, a, flags, mode)
}

func (l *Links) putWithFlags(link netlink.Link, a Address, flags uint32, mode int) error {
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

// addressRequest is a request about an address: the local one, the peer's and the prefix
// length.
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

// expired reports whether the last second of the address's lifetime had begun when it was
// read: the kernel refuses to add an address whose lifetime is 0.
func (a Address) expired() bool {
	for _, one := range a.record.rest {
		if one.kind == unix.IFA_CACHEINFO && len(one.value) >= unix.SizeofIfaCacheinfo {
			return nl.DeserializeIfaCacheInfo(one.value).Valid == 0
		}
	}
	return false
}

// keepSecondaries makes the kernel keep the other addresses of a network when the first
// one, to which the route belongs, is removed: the next one takes its place at once.
func (l *Links) keepSecondaries(link netlink.Link) error {
	request := l.linkRequest(link)
	families := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	families.AddRtAttr(unix.AF_INET, nil).AddRtAttr(unix.IFLA_INET_CONF, nil).AddRtAttr(promoteSecondaries, nl.Uint32Attr(1))
	request.AddData(families)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
