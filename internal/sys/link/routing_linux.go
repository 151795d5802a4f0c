package link

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddRoute adds a route to the interface, with the attributes that ip(8) gives it. The
// error is ErrExists if the table has a route to this prefix already.
func (l *Links) AddRoute(name string, r StaticRoute) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	return failure(l.handle.RouteAdd(r.forLibrary(link)), "%s: add the route %s to table %d", name, r.Prefix, r.Table)
}

// DeleteRoute removes a route that AddRoute added. The error is ErrNoRoute if it is not
// there.
func (l *Links) DeleteRoute(name string, r StaticRoute) error {
	link, err := l.find(name)
	if err != nil {
		return err
	}
	err = l.handle.RouteDel(r.forLibrary(link))
	if errors.Is(err, unix.ESRCH) {
		return &Error{fmt.Sprintf("%s: remove the route %s from table %d: it is not there", name, r.Prefix, r.Table), ErrNoRoute, err}
	}
	return failure(err, "%s: remove the route %s from table %d", name, r.Prefix, r.Table)
}

func (r StaticRoute) forLibrary(link netlink.Link) *netlink.Route {
	// With the protocol, deleting a route never means the one to the same prefix that the
	// kernel made for an address.
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.Prefix), Table: int(r.Table), Protocol: unix.RTPROT_BOOT}
	if r.Prefix.Addr().Is4() {
		route.Scope = netlink.SCOPE_LINK
	}
	return route
}

// AllRoutesTo are the routes in all tables that lead to the interface, without those that
// the kernel made for its addresses.
func (l *Links) AllRoutesTo(name string) (list []StaticRoute, err error) {
	link, err := l.find(name)
	if err != nil {
		return nil, err
	}
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: unix.RT_TABLE_UNSPEC}
	routes, err := l.routes(filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_KERNEL {
			continue
		}
		list = append(list, StaticRoute{Prefix: prefixOf(r), Table: uint32(r.Table)})
	}
	return list, failure(err, "%s: list the routes", name)
}

// RoutesTo are the routes in the table main that lead to the interface.
func (l *Links) RoutesTo(name string) ([]netip.Prefix, error) {
	link, err := l.find(name)
	if err != nil {
		return nil, err
	}
	filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: unix.RT_TABLE_MAIN}
	routes, err := l.routes(filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	var list []netip.Prefix
	for _, r := range routes {
		list = append(list, prefixOf(r))
	}
	return list, failure(err, "%s: list the routes", name)
}

// Tables are the routing tables that have routes of either family.
func (l *Links) Tables() (map[uint32]bool, error) {
	tables := map[uint32]bool{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		found, err := readRoutes(l, family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE, tablesOf)
		if err != nil {
			return nil, failure(err, "list the routes")
		}
		maps.Copy(tables, found)
	}
	return tables, nil
}

func tablesOf(routes []netlink.Route) map[uint32]bool {
	tables := map[uint32]bool{}
	for _, r := range routes {
		tables[uint32(r.Table)] = true
	}
	return tables
}

// routes are the routes of both families that filter and mask select.
func (l *Links) routes(filter *netlink.Route, mask uint64) (list []netlink.Route, err error) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := readRoutes(l, family, filter, mask, func(all []netlink.Route) []netlink.Route { return all })
		if err != nil {
			return nil, err
		}
		list = append(list, routes...)
	}
	return list, nil
}

// Priorities are those of all rules of a family, the lowest one first.
func (l *Links) Priorities(ipv6 bool) ([]uint32, error) {
	rules, err := l.readRules(ipv6)
	if err != nil {
		return nil, err
	}
	var list []uint32
	for _, r := range rules {
		list = append(list, uint32(max(r.Priority, 0)))
	}
	return list, nil
}

// UsesMarks reports whether a rule of IPv4 depends on a firewall mark.
func (l *Links) UsesMarks() (bool, error) {
	rules, err := l.readRules(false)
	for _, r := range rules {
		if r.Mark != 0 {
			return true, nil
		}
	}
	return false, err
}

// Rules are the rules of a family, the one that is asked first at the beginning. What a
// Rule cannot say about them is left out.
func (l *Links) Rules(ipv6 bool) (list []Rule, err error) {
	rules, err := l.readRules(ipv6)
	if err != nil {
		return nil, err
	}
	for _, found := range rules {
		r := Rule{IPv6: ipv6, Priority: uint32(max(found.Priority, 0)), Table: uint32(max(found.Table, 0)), NoDefault: found.SuppressPrefixlen == 0}
		if found.Invert {
			r.NotMark = found.Mark
		} else {
			r.Mark = found.Mark
		}
		if found.Goto >= 0 {
			r.Goto = uint32(found.Goto)
		}
		list = append(list, r)
	}
	return list, nil
}

// InterfaceTo returns the name of the interface to which packets with a mark to an address
// are routed, and ErrNoRoute if there is none.
func (l *Links) InterfaceTo(a netip.Addr, mark uint32) (string, error) {
	route, err := l.routeTo(a, mark)
	if err != nil {
		return "", err
	}
	link, err := l.handle.LinkByIndex(route.LinkIndex)
	if err != nil {
		return "", failure(err, "look up the interface of the route to %s", a)
	}
	return link.Attrs().Name, nil
}

// AddRule adds a rule.
func (l *Links) AddRule(r Rule) error {
	return failure(l.handle.RuleAdd(r.forLibrary()), "add the rule %s", r)
}

// DeleteRule removes a rule; ErrNoRule if it is not there.
func (l *Links) DeleteRule(r Rule) error {
	err := l.handle.RuleDel(r.forLibrary())
	if errors.Is(err, unix.ENOENT) || err != nil && noFamily(err) {
		return &Error{fmt.Sprintf("remove the rule %s: it is not there", r), ErrNoRule, err}
	}
	return failure(err, "remove the rule %s", r)
}

func (r Rule) forLibrary() *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = family(r.IPv6), int(r.Priority), int(r.Table)
	rule.Invert, rule.Mark = r.NotMark != 0, r.NotMark|r.Mark
	if r.Goto != 0 {
		rule.Goto, rule.Table = int(r.Goto), unix.RT_TABLE_UNSPEC
	}
	if r.NoDefault {
		rule.SuppressPrefixlen = 0
	}
	return rule
}

// PathMTU is the size of the largest packet that fits on the way to an address, as far
// as the host knows: what a route says or what the kernel has learned, or else the MTU
// of the interface. It returns ErrNoRoute where there is none.
func (l *Links) PathMTU(remote netip.Addr, mark uint32) (int, error) {
	route, err := l.routeTo(remote, mark)
	if err != nil {
		return 0, err
	}
	return l.mtuOf(route)
}

// routeTo returns the route of packets with a mark to an address.
func (l *Links) routeTo(remote netip.Addr, mark uint32) (netlink.Route, error) {
	options := &netlink.RouteGetOptions{Mark: mark}
	if zone := remote.Zone(); zone != "" {
		options.Oif = zone
	}
	found, err := l.handle.RouteGetWithOptions(net.IP(remote.Unmap().WithZone("").AsSlice()), options)
	if err != nil || len(found) == 0 {
		return netlink.Route{}, fmt.Errorf("%w to %s", ErrNoRoute, remote)
	}
	return found[0], nil
}

// DefaultMTU is the PathMTU of the default route of IPv4. It returns ErrNoRoute if there
// is none.
func (l *Links) DefaultMTU() (int, error) {
	main := &netlink.Route{Table: unix.RT_TABLE_MAIN}
	routes, err := readRoutes(l, unix.AF_INET, main, netlink.RT_FILTER_TABLE, func(list []netlink.Route) []netlink.Route {
		return slices.DeleteFunc(list, func(r netlink.Route) bool {
			return prefixOf(r).Bits() != 0 || r.LinkIndex == 0 && len(r.MultiPath) == 0
		})
	})
	if err != nil {
		return 0, failure(err, "list the routes")
	}
	if len(routes) == 0 {
		return 0, fmt.Errorf("%w: there is no default route", ErrNoRoute)
	}
	return l.mtuOf(routes[0])
}

func (l *Links) mtuOf(r netlink.Route) (int, error) {
	if r.MTU != 0 {
		return r.MTU, nil
	}
	index := r.LinkIndex
	if index == 0 && len(r.MultiPath) > 0 {
		index = r.MultiPath[0].LinkIndex
	}
	link, err := l.handle.LinkByIndex(index)
	if err != nil {
		return 0, failure(err, "the interface %d", index)
	}
	return link.Attrs().MTU, nil
}

func family(ipv6 bool) int {
	if ipv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf is the destination of a route. The library has none for some default routes.
func prefixOf(r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		if r.Family == unix.AF_INET6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	addr, _ := netip.AddrFromSlice(r.Dst.IP)
	if r.Family == unix.AF_INET {
		addr = addr.Unmap() // the library writes 0.0.0.0 in 16 bytes
	}
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(addr, bits)
}
