package wgimport

import (
	"slices"
	"strings"
)

// plainKeys are those of [ipv4] and [ipv6] that need no more than themselves.
var plainKeys = map[string]handler{
	"dns": func(k *keyfile, _ *block, value string, at place) {
		for _, e := range k.elements(value, at) {
			k.server(e, at)
		}
	},
	"dns-search": func(k *keyfile, _ *block, value string, at place) {
		for _, e := range k.elements(value, at) {
			k.domain(e, at)
		}
	},
	"dns-options":                gone("options of resolv.conf(5) are not set"),
	"dns-priority":               gone("the tunnel's name servers come first", "0"),
	"route-metric":               gone("routes to AllowedIPs have no metric", "-1"),
	"replace-local-rule":         gone("rules are those of Table = auto", "-1", "default"),
	"auto-route-ext-gw":          gone("the packets of the tunnel itself are told by their mark", "-1"),
	"shared-transition-required": nothing,
	"ignore-auto-dns":            nothing, "ignore-auto-routes": nothing, "may-fail": nothing, "required-timeout": nothing, "dad-timeout": nothing,
	"addr-gen-mode": nothing, "ip6-privacy": nothing, "link-local": nothing, "token": nothing, "ra-timeout": nothing, "mtu": nothing,
	"temp-valid-lifetime": nothing, "temp-preferred-lifetime": nothing,
}

// addressing imports [ipv4] or [ipv6].
func (k *keyfile) addressing(s section) {
	f := &k.ip4
	if s.name == "ipv6" {
		f = &k.ip6
	}
	method := ""
	for _, e := range s.entries {
		if e.key == "method" {
			method = e.value
		}
		if e.key == "never-default" {
			k.flag(&f.never, e.value, place{k.source, e.line, e.key})
		}
		if e.key == "route-table" {
			if t, ok := tableOf(e.value); ok {
				f.table = t
			} else {
				k.lost(place{k.source, e.line, e.key}, "it is no number")
			}
		}
	}
	options := map[string]string{} // of the routes, by their number
	for _, e := range s.entries {
		if n, ok := numbered(e.key, "route", "_options"); ok {
			options[n] = e.value
		}
	}
	for _, e := range s.entries {
		at := place{k.source, e.line, label(e.key)}
		value := unescape(e.value)
		h := plainKeys[e.key]
		switch {
		case h != nil:
			at.key = e.key
			h(k, nil, value, at)
		case e.key == "method":
			k.method(value, at)
		case e.key == "never-default" || e.key == "route-table": // above
		case e.key == "gateway":
			k.gateway(f, value, place{k.source, e.line, e.key})
		case strings.HasPrefix(e.key, "routing-rule"):
			k.lost(place{k.source, e.line, "routing-rule"}, "rules are not set: add a hook, PostUp = ip rule add …")
		case strings.HasPrefix(e.key, "dhcp"):
		default:
			k.numberedKey(f, e, method, options)
		}
	}
}

// numberedKey imports an address or a route: address1, addresses, route2 …
func (k *keyfile) numberedKey(f *family, e entry, method string, options map[string]string) {
	at := place{k.source, e.line, label(e.key)}
	if _, ok := numbered(e.key, "route", "_options"); ok { // of a route
		return
	}
	for _, name := range []string{"addresses", "address"} {
		if _, ok := numbered(e.key, name, ""); ok {
			at.key = e.key
			for _, text := range elements(e.value) {
				address, gateway, _ := strings.Cut(text, ",")
				if method == "disabled" || method == "ignore" {
					k.lost(at, "with the method %s, NetworkManager sets no address", method)
					continue
				}
				k.address(strings.TrimSpace(address), at)
				k.gateway(f, strings.TrimSpace(gateway), at)
			}
			return
		}
	}
	for _, name := range []string{"routes", "route"} {
		if n, ok := numbered(e.key, name, ""); ok {
			at.key = e.key
			for _, text := range elements(e.value) {
				k.route(f, text, options[n], at)
			}
			return
		}
	}
	k.lost(at, "%s", unknownKey(e))
}

// numbered reports whether key is name, a number or nothing, and end.
func numbered(key, name, end string) (number string, ok bool) {
	rest, ok := strings.CutPrefix(key, name)
	rest, match := strings.CutSuffix(rest, end)
	return rest, ok && match && strings.Trim(rest, "0123456789") == ""
}

// method: a tunnel has the addresses that stand in the file.
func (k *keyfile) method(value string, at place) {
	if !slices.Contains([]string{"manual", "disabled", "ignore", ""}, value) {
		k.lost(at, "a tunnel has only the addresses that its file names: nobody assigns one")
	}
}

// gateway: the peer takes its place. Without never-default it makes a default
// route, which needs AllowedIPs.
func (k *keyfile) gateway(f *family, value string, at place) {
	if value != "" && !f.never && value != "0.0.0.0" && value != "::" {
		at.key = "gateway"
		k.lost(at, "a tunnel has no gateway: for a default route, give a peer the AllowedIPs 0.0.0.0/0 or ::/0")
	}
}

// route imports DESTINATION[,GATEWAY[,METRIC]]. The peer is told by AllowedIPs,
// not by the gateway.
func (k *keyfile) route(f *family, text, options string, at place) {
	parts := strings.Split(text, ",")
	p, ok := destination(strings.TrimSpace(parts[0]))
	r := route{prefix: p, table: f.table, at: at}
	if ok && len(parts) > 2 {
		r.metric, ok = metricOf(strings.TrimSpace(parts[2]))
	}
	if !ok || len(parts) > 3 {
		k.lost(at, "it is not DESTINATION/LENGTH,GATEWAY,METRIC")
		return
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(option), "=")
		switch {
		case name == "table":
			if t, ok := tableOf(value); ok {
				r.table = t
				continue
			}
		case name == "" || name == "onlink":
			continue
		case name == "type" && value != "unicast" && value != "":
			k.lost(at, "a route that goes nowhere: add a hook, PostUp = ip route add …")
			return
		}
		k.lost(at, "the option %s of the route", label(name))
	}
	k.routes = append(k.routes, r)
}
