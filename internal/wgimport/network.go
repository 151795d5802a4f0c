package wgimport

import (
	"net/netip"
	"slices"
	"strings"
)

// rule is a section [RoutingPolicyRule].
type rule struct {
	at   place
	keys map[string]string
	list []place // of its keys
}

// network imports a .network.
func (l *link) network(n unit) {
	for _, s := range n.sections {
		switch s.name {
		case "Match":
			l.each(n.name, s, func(a assignment) bool {
				if a.key != "Name" {
					a.key = label(a.key)
					l.lost(a.place, "the file is for this machine and interface, without another condition")
				}
				return true
			})
		case "Link":
			l.each(n.name, s, l.linkKey)
		case "Network":
			l.each(n.name, s, l.networkKey)
		case "Address":
			l.addressSection(n.name, s)
		case "Route":
			l.routeSection(n.name, s)
		case "RoutingPolicyRule":
			r := rule{place{n.name, s.line, "[RoutingPolicyRule]"}, map[string]string{}, nil}
			l.each(n.name, s, func(a assignment) bool {
				r.keys[a.key] = a.value
				a.key = label(a.key)
				r.list = append(r.list, a.place)
				return true
			})
			l.rules = append(l.rules, r)
		default:
			l.strangers(n.name, s)
		}
	}
}

func (l *link) linkKey(a assignment) bool {
	switch a.key {
	case "MTUBytes":
		l.set("MTU", a)
	case "RequiredForOnline", "RequiredFamilyForOnline", "Multicast", "AllMulticast", "Promiscuous", "ARP", "Group":
	case "ActivationPolicy":
		if !slices.Contains([]string{"", "up", "always-up"}, a.value) {
			l.lost(a.place, "wgd brings the interface up: do not start it until then")
		}
	case "Unmanaged":
		if isOn(a.value) {
			l.lost(a.place, "systemd does not configure this interface")
		}
	default:
		return false
	}
	return true
}

// meaningless are the keys of [Network] without meaning for a tunnel.
var meaningless = []string{"Description", "ConfigureWithoutCarrier", "IgnoreCarrierLoss", "KeepConfiguration", "LLDP", "EmitLLDP", "IPv6DuplicateAddressDetection"}

// offKeys are those that say nothing if they are off.
var offKeys = []string{"DHCP", "IPv6AcceptRA", "IPv6SendRA", "DHCPServer", "IPForward", "IPv4Forwarding", "IPv6Forwarding", "IPMasquerade",
	"LLMNR", "MulticastDNS", "DNSSEC", "DNSOverTLS", "LinkLocalAddressing", "IPv6PrivacyExtensions", "IPv4ProxyARP", "IPv6ProxyNDP"}

// advice is what to do about a key of [Network] that is not carried over.
var advice = map[string]string{
	"IPForward":      "forwarding is not configured here: set net.ipv4.ip_forward and net.ipv6.conf.all.forwarding with sysctl(8)",
	"IPv4Forwarding": "forwarding is not configured here: set net.ipv4.ip_forward with sysctl(8)",
	"IPv6Forwarding": "forwarding is not configured here: set net.ipv6.conf.all.forwarding with sysctl(8)",
	"IPMasquerade":   "masquerading is not configured here: add a rule to your nftables",
	"DHCP":           "a tunnel has only the addresses that its file names: nobody assigns one",
	"IPv6AcceptRA":   "a tunnel has only the addresses that its file names: nobody assigns one",
	"DNSOverTLS":     "the name servers are asked as systemd-resolved asks all others",
	"DNSSEC":         "the name servers are asked as systemd-resolved asks all others",
}

func (l *link) networkKey(a assignment) bool {
	words := strings.Fields(a.value)
	switch a.key {
	case "Address":
		if a.value == "" {
			l.resetAddresses()
			return true
		}
		l.networkAddress(a)
	case "Gateway":
		l.gatewayRoute(a)
	case "DNS":
		if a.value == "" {
			l.dns.servers = nil
		}
		for _, w := range words {
			l.server(w, a.place)
		}
	case "Domains":
		if a.value == "" {
			l.dns.search, l.dns.route, l.dns.all = nil, nil, false
		}
		for _, w := range words {
			l.domain(w, a.place)
		}
	case "DNSDefaultRoute":
		if on := isOn(a.value); on || isOff(a.value) {
			l.dns.byDefault, l.dns.byDefaultAt = &on, a.place
		}
	default:
		switch {
		case slices.Contains(meaningless, a.key):
		case slices.Contains(offKeys, a.key) && (isOff(a.value) || a.value == ""):
		case advice[a.key] != "":
			l.lost(a.place, "%s", advice[a.key])
		default:
			return false
		}
	}
	return true
}

// networkAddress: an address without a length stands for itself alone here. In
// systemd 252 its class determines the length: 10.2.0.3 is 10.2.0.3/8.
func (l *link) networkAddress(a assignment) {
	l.address(a.value, a.place)
	if !strings.Contains(a.value, "/") {
		l.changed(a.place, "an address without a length: here it stands for itself alone; older versions of systemd go by its class")
	}
}

// gatewayRoute is a default route. The gateway of a tunnel is the peer.
func (l *link) gatewayRoute(a assignment) {
	switch gateway, err := netip.ParseAddr(a.value); {
	case a.value == "":
	case err != nil:
		l.lost(a.place, "it is no address")
	default:
		l.routes = append(l.routes, route{prefix: defaultFor(gateway), table: mainTable, at: a.place})
	}
}

func defaultFor(a netip.Addr) netip.Prefix {
	if a.Is6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

func (l *link) addressSection(file string, s section) {
	l.each(file, s, func(a assignment) bool {
		switch a.key {
		case "Address":
			if a.value != "" {
				l.networkAddress(a)
			}
		case "Peer":
			l.lost(a.place, "the address of the other end: AllowedIPs lead there")
		case "Broadcast", "AddPrefixRoute", "PrefixRoute", "DuplicateAddressDetection", "Scope", "ManageTemporaryAddress", "AutoJoin", "HomeAddress":
			if (a.key == "AddPrefixRoute" || a.key == "PrefixRoute") && isOff(a.value) == (a.key == "AddPrefixRoute") {
				l.lost(a.place, "each address brings a route to its network")
			}
		default:
			return false
		}
		return true
	})
}

// routeSection imports [Route].
func (l *link) routeSection(file string, s section) {
	r := route{table: mainTable, at: place{file, s.line, "[Route]"}}
	good, given, gateway := true, false, netip.Addr{}
	l.each(file, s, func(a assignment) bool {
		ok := true
		switch a.key {
		case "Destination":
			if a.value == "" {
				return true
			}
			r.prefix, ok = destination(a.value)
			given = true
		case "Gateway":
			if a.value == "" || strings.HasPrefix(a.value, "_") {
				ok = a.value == ""
				break
			}
			var err error
			gateway, err = netip.ParseAddr(a.value)
			ok = err == nil
		case "Table":
			r.table, ok = l.table(a.value)
		case "Metric":
			r.metric, ok = metricOf(a.value)
		case "Type":
			ok = a.value == "unicast" || a.value == ""
		case "Scope", "Protocol", "GatewayOnLink", "GatewayOnlink", "IPv6Preference": // who finds the peer is AllowedIPs
		default:
			return false
		}
		if !ok {
			good = false
			l.lost(a.place, "the route: this value is not known here")
		}
		return true
	})
	if !given && gateway.IsValid() {
		r.prefix = defaultFor(gateway)
	}
	switch {
	case !good:
	case !r.prefix.IsValid():
		l.lost(r.at, "a route without a Destination")
	default:
		l.routes = append(l.routes, r)
	}
}

// policyRules recognises what Table = auto does: a rule that leads all but the
// tunnel's own packets to a table with the default route.
func (l *link) policyRules() {
	led := map[table]map[bool]bool{} // tables, and whether IPv4 (false) or IPv6 (true) is led there
	for _, r := range l.rules {
		if t, families, ok := l.isPolicy(r); ok {
			if led[t] == nil {
				led[t] = map[bool]bool{}
			}
			for _, f := range families {
				led[t][f] = true
			}
		}
	}
	used := false
	for i := range l.routes {
		r := &l.routes[i]
		if !led[r.table][r.prefix.Addr().Is6()] || r.table == mainTable {
			continue
		}
		used = true
		r.table = mainTable
		if r.prefix.Bits() == 0 {
			r.table = policyTable
		}
	}
	for _, r := range l.rules {
		_, _, ok := l.isPolicy(r)
		if used && (ok || isSuppress(r)) {
			continue
		}
		for _, at := range r.list {
			l.lost(at, "the rule of line %d: rules are not set: add a hook, PostUp = ip rule add …", r.at.line)
		}
	}
}

// isPolicy reports whether a rule leads packets without the tunnel's mark to a
// table, and which families.
func (l *link) isPolicy(r rule) (t table, families []bool, ok bool) {
	t, ok = l.table(r.keys["Table"])
	families = []bool{false}
	for key, value := range r.keys {
		switch key {
		case "Table", "Priority":
		case "FirewallMark":
			ok = ok && l.mark != "" && sameNumber(value, l.mark)
		case "InvertRule":
			ok = ok && isOn(value)
		case "Family":
			families = map[string][]bool{"ipv4": {false}, "ipv6": {true}, "both": {false, true}}[value]
		default:
			return 0, nil, false
		}
	}
	return t, families, ok && r.keys["FirewallMark"] != "" && r.keys["InvertRule"] != "" && r.keys["Table"] != ""
}

// isSuppress reports whether a rule is the other one of Table = auto: the main
// table, but for its default route.
func isSuppress(r rule) bool {
	for key := range r.keys {
		if !slices.Contains([]string{"Table", "Priority", "Family", "SuppressPrefixLength"}, key) {
			return false
		}
	}
	return r.keys["SuppressPrefixLength"] == "0" && (r.keys["Table"] == "main" || r.keys["Table"] == "254")
}

// sameNumber compares two marks.
func sameNumber(a, b string) bool {
	x, ok := tableOf(a)
	y, good := tableOf(b)
	return ok && good && x == y
}
