package wgimport

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// table is a routing table. policyTable is a table of the tunnel's own, with the
// rules that lead there all but its own packets, as Table = auto makes it.
type table uint32

const (
	policyTable table = 0
	mainTable   table = 254
)

// route is a route through the tunnel that the source sets.
type route struct {
	prefix netip.Prefix
	table  table
	metric uint32 // 0: none
	at     place
}

// goal is a prefix in a table.
type goal struct {
	prefix netip.Prefix
	table  table
}

// setRoutes makes the directive Table, such that it sets as many of the routes
// as possible and no others. A hook sets the rest.
func (d *draft) setRoutes() {
	allowed := d.allowed()
	wanted := map[goal]bool{}
	for _, r := range d.routes {
		wanted[goal{r.prefix, r.table}] = true
	}
	set, value := d.chooseTable(allowed, wanted)
	if value != "" {
		at := place{file: d.source}
		if value != "off" && len(d.routes) > 0 {
			at = d.routes[0].at
		}
		d.put(&d.iface, "Table", value, at)
	}
	if d.unrouted && value == "off" {
		d.changed(place{file: d.source}, "Table = off: the source sets no routes to AllowedIPs of its own accord; remove this line to have them")
	}
	done := map[goal]bool{}
	for _, r := range d.routes {
		g := goal{r.prefix, r.table}
		switch {
		case set[g]:
			if r.metric != 0 {
				d.lost(r.at, "the metric %d: routes to AllowedIPs have none", r.metric)
			}
		case done[g] || r.table == mainTable && d.connected(r.prefix):
		case r.table == policyTable:
			d.lost(r.at, "the default route %s with rules of its own, because other routes are not as Table = auto makes them", r.prefix)
		default:
			done[g] = true
			d.put(&d.iface, "PostUp", r.hook(), r.at)
			d.changed(r.at, "a hook sets the route to %s, and needs ip(8)", r.prefix)
		}
	}
}

// chooseTable gives the directive, "" for none, and the routes that it sets.
func (d *draft) chooseTable(allowed []netip.Prefix, wanted map[goal]bool) (set map[goal]bool, value string) {
	candidates := []table{policyTable, mainTable}
	for g := range wanted {
		candidates = append(candidates, g.table)
	}
	slices.Sort(candidates[2:])
	for _, t := range slices.Compact(candidates) {
		set = map[goal]bool{}
		good := true
		for _, p := range allowed {
			g := goal{p, t}
			if t == policyTable && p.Bits() > 0 {
				g.table = mainTable
			}
			set[g] = true
			if good = wanted[g] || g.table == mainTable && d.connected(p); !good {
				break
			}
		}
		switch {
		case !good:
		case t == policyTable:
			return set, ""
		case t == mainTable:
			return set, "main"
		default:
			return set, fmt.Sprint(uint32(t))
		}
	}
	return nil, "off"
}

// connected reports whether an address of the interface brings a route for p.
func (d *draft) connected(p netip.Prefix) bool {
	for bits := p.Bits(); bits > 0; bits-- {
		if d.connectedTo[netip.PrefixFrom(p.Addr(), bits).Masked()] {
			return true
		}
	}
	return false
}

// allowed are the prefixes of all peers, sorted.
func (d *draft) allowed() (list []netip.Prefix) {
	for _, b := range d.peers {
		list = append(list, b.allowed()...)
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(list)
}

func (b *block) allowed() (list []netip.Prefix) {
	for _, l := range b.values("AllowedIPs") {
		if p, err := parsePrefix(l.value); err == nil {
			list = append(list, p.Masked())
		}
	}
	return list
}

// hook is the command that sets the route. Nothing in it is text of the source.
func (r route) hook() string {
	family := "-4"
	if r.prefix.Addr().Is6() {
		family = "-6"
	}
	command := fmt.Sprintf("ip %s route add %s dev %%i", family, r.prefix)
	if r.table != mainTable {
		command += fmt.Sprintf(" table %d", uint32(r.table))
	}
	if r.metric != 0 {
		command += fmt.Sprintf(" metric %d", r.metric)
	}
	return command
}
