package netsetup

import (
	"cmp"
	"net/netip"
	"slices"

	"wgd/internal/sys/link"
	"wgd/internal/sys/nft"
	"wgd/internal/wgconf"
)

// Facts are what Plan needs to know about the system, once the interface exists and its
// tunnel is configured.
type Facts struct {
	AllowedIPs []netip.Prefix // of all peers
	Mark       uint32         // the firewall mark of the tunnel; 0: none
	PathMTU    int            // the smallest one on the ways to the endpoints; 0: not known

	Routes    []netip.Prefix  // those to the interface in the table main
	Tables    map[uint32]bool // the routing tables that have routes
	Priority4 uint32          // for the next rule of IPv4, before all others but the first
	Priority6 uint32          // likewise of IPv6
	ValidMark bool            // whether src_valid_mark was set before the first tunnel that needs it

	// What an earlier plan chose, and what a new one keeps if it needs it still.
	KeepMark   uint32                    // the mark, and the table of a default route
	KeepRoutes map[link.StaticRoute]bool // routes that a hook's route may cover meanwhile
}

const (
	// overhead is what a packet in the tunnel needs outside of it at most: IPv6, UDP,
	// the header and the tag of a message.
	overhead = 40 + 8 + 32

	// fallbackMTU is the MTU of the way to the endpoints if nothing is known about it.
	fallbackMTU = 1500

	// firstTable is the table of a default route, and the mark, if no mark is given.
	firstTable = 51820
)

// Plan works out the steps that make the system what the file wants. dns, from PlanDNS,
// follows when the interface is up.
func Plan(name string, file *wgconf.File, dns []Step, facts Facts) []Step {
	p := planner{name: name, network: &file.Interface.Network, facts: facts}
	p.mtu()
	p.addresses()
	p.steps = append(p.steps, Step{MTU: p.size}, Step{Up: true})
	p.steps = append(p.steps, dns...)
	if !p.network.Table.Off() {
		p.routes(file)
	}
	return p.steps
}

type planner struct {
	name    string
	network *wgconf.Network
	facts   Facts
	size    int // the MTU
	steps   []Step
}

// mtu is that of the file, or what the smallest MTU on the ways to the endpoints leaves.
// IPv6 has no smaller one than link.MinMTUOfIPv6, and the tunnel sends larger packets
// in fragments.
func (p *planner) mtu() {
	p.size = p.network.MTU
	if p.size == 0 {
		p.size = cmp.Or(p.facts.PathMTU, fallbackMTU) - overhead
		if slices.ContainsFunc(p.network.Addresses, isIPv6) || slices.ContainsFunc(p.facts.AllowedIPs, isIPv6) {
			p.size = max(p.size, link.MinMTUOfIPv6)
		}
	}
}

// possible reports whether the interface can have the address or the route: with a
// smaller MTU, which the file must have asked for, it has no IPv6.
func (p *planner) possible(prefix netip.Prefix) bool {
	return p.size >= link.MinMTUOfIPv6 || !isIPv6(prefix)
}

func (p *planner) addresses() {
	for _, a := range p.network.Addresses {
		if p.possible(a) {
			p.steps = append(p.steps, Step{Address: a})
		}
	}
}

// routes plans the routes, the longest prefixes first, as wg-quick does.
func (p *planner) routes(file *wgconf.File) {
	prefixes := slices.DeleteFunc(slices.Clone(p.facts.AllowedIPs), func(a netip.Prefix) bool { return !p.possible(a) })
	slices.SortStableFunc(prefixes, func(a, b netip.Prefix) int { return cmp.Compare(b.Bits(), a.Bits()) })
	prefixes = slices.Compact(prefixes)
	byRule := p.byRule(file)
	var default4, default6 []netip.Prefix
	for _, prefix := range prefixes {
		switch number := p.network.Table.Number(); {
		case number == link.MainTable && slices.ContainsFunc(p.network.Addresses, func(a netip.Prefix) bool { return a.Masked() == prefix && connects(a) }):
			// The kernel has this route, and refuses another one.
		case number != 0:
			p.route(prefix, number)
		case byRule(prefix) && isIPv6(prefix):
			default6 = append(default6, prefix)
		case byRule(prefix):
			default4 = append(default4, prefix)
		case p.connected(prefix):
		case p.facts.KeepRoutes[link.StaticRoute{Prefix: prefix, Table: link.MainTable}] || !slices.ContainsFunc(p.facts.Routes, covers(prefix)):
			p.route(prefix, link.MainTable)
		}
	}
	if len(default4)+len(default6) == 0 {
		return
	}
	mark, table := p.table()
	p.defaultRoute(false, default4, mark, table)
	p.defaultRoute(true, default6, mark, table)
}

func (p *planner) route(prefix netip.Prefix, table uint32) {
	p.steps = append(p.steps, Step{Route: &link.StaticRoute{Prefix: prefix, Table: table}})
}

// byRule reports whether a route is one of a default route: the route itself, or a part
// of a default route from which the file excludes addresses. In the table main, such
// parts would attract the tunnel's own datagrams.
func (p *planner) byRule(file *wgconf.File) func(netip.Prefix) bool {
	parts := map[netip.Prefix]bool{}
	for i := range file.Peers {
		peer := &file.Peers[i]
		for _, whole := range peer.AllowedIPs {
			if whole.Bits() != 0 {
				continue
			}
			for _, part := range wgconf.Subtract([]netip.Prefix{whole}, peer.ExcludedIPs) {
				parts[part] = true
			}
		}
	}
	return func(prefix netip.Prefix) bool { return prefix.Bits() == 0 || parts[prefix] }
}

// covers reports, of a route, whether it leads a whole prefix to the interface.
func covers(prefix netip.Prefix) func(route netip.Prefix) bool {
	return func(route netip.Prefix) bool { return route.Bits() <= prefix.Bits() && route.Overlaps(prefix) }
}

// connected reports whether the route of an address covers a prefix.
func (p *planner) connected(prefix netip.Prefix) bool {
	return slices.ContainsFunc(p.network.Addresses, func(a netip.Prefix) bool {
		return p.possible(a) && connects(a) && covers(prefix)(a.Masked())
	})
}

// connects reports whether the kernel makes a route for an address in the table main. It
// makes none for a single address of IPv4.
func connects(a netip.Prefix) bool { return isIPv6(a) || a.Bits() < 32 }

// table chooses the table of the default routes, and the mark by which the tunnel's own
// datagrams are told: both are the mark that the tunnel has, or the first number from
// firstTable on of which there is no table.
func (p *planner) table() (mark, table uint32) {
	free := p.facts.KeepMark
	if free == 0 {
		for free = firstTable; p.facts.Tables[free]; {
			free++
		}
	}
	switch mark := p.facts.Mark; {
	case mark == 0:
		p.steps = append(p.steps, Step{Mark: free})
		return free, free
	case mark >= firstReserved && mark <= lastReserved:
		return mark, free
	default:
		return mark, mark
	}
}

// The tables default, main and local.
const (
	firstReserved = 253
	lastReserved  = 255
)

// defaultRoute plans the default route of a family. The rules and the firewall come first, and
// the routes last: until then, nothing changes for anybody.
func (p *planner) defaultRoute(ipv6 bool, prefixes []netip.Prefix, mark, table uint32) {
	if len(prefixes) == 0 {
		return
	}
	guard := nft.Guard{Interface: p.name, IPv6: ipv6, Mark: mark}
	for _, a := range p.network.Addresses {
		if isIPv6(a) == ipv6 && p.possible(a) {
			guard.Addresses = append(guard.Addresses, a.Addr())
		}
	}
	priority := p.facts.Priority4
	if ipv6 {
		priority = p.facts.Priority6
	} else {
		p.steps = append(p.steps, Step{ValidMark: &ValidMark{Before: p.facts.ValidMark}})
	}
	p.steps = append(p.steps, Step{Guard: &guard},
		Step{Rule: &link.Rule{IPv6: ipv6, Priority: priority, Table: table, NotMark: mark}},
		Step{Rule: &link.Rule{IPv6: ipv6, Priority: priority - 1, Table: link.MainTable, NoDefault: true}})
	for _, prefix := range prefixes {
		p.route(prefix, table)
	}
}

func isIPv6(p netip.Prefix) bool { return p.Addr().Is6() }
