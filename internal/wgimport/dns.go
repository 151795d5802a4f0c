package wgimport

import (
	"errors"
	"slices"
	"strings"
)

var errNoPrefix = errors.New("no address")

// resolver is what a source says about DNS. The sources ask the name servers of
// all interfaces, and domains choose between them; ours asks those of the tunnel
// for everything, or for the domains with a ~.
type resolver struct {
	servers, search, route []directive // as the line DNS has them
	all                    bool        // ~.: for all names
	byDefault              *bool       // DNSDefaultRoute of systemd
	byDefaultAt            place
	exclusive              bool // the source asks these servers alone for all names
}

// server adds a name server.
func (d *draft) server(text string, at place) {
	address, name, found := strings.Cut(text, "#")
	if found && name != "" {
		d.lost(at, "the name for DNS over TLS: the server is asked without it")
	}
	d.take(&d.dns.servers, address, at, func(v string) bool {
		return strings.ContainsAny(v, ".:") && strings.Trim(v, "0123456789abcdefABCDEF.:") == ""
	})
}

// domain adds a domain: one to search, or with ~ one that the servers answer
// for.
func (d *draft) domain(text string, at place) {
	switch name, route := strings.CutPrefix(text, "~"); {
	case name == "." || route && name == "":
		d.dns.all = true
	case route:
		d.take(&d.dns.route, text, at, isName)
	default:
		d.take(&d.dns.search, text, at, isName)
	}
}

// isName reports whether the line DNS would take a word for a domain.
func isName(v string) bool { return !strings.Contains(v, ":") && strings.Trim(v, "0123456789.~") != "" }

func (d *draft) take(list *[]directive, text string, at place, kind func(string) bool) {
	_, fault := accept("Interface", "DNS", text)
	if fault == "" && !kind(text) {
		fault = "it is no address of a name server, nor a domain, where it stands"
	}
	if fault != "" {
		d.lost(at, "%s", fault)
		return
	}
	*list = append(*list, directive{"DNS", text, at})
}

// setDNS makes the line DNS.
func (d *draft) setDNS() {
	r := &d.dns
	never := r.byDefault != nil && !*r.byDefault
	always := r.byDefault != nil && *r.byDefault
	switch {
	case len(r.servers) == 0:
		for _, l := range r.route {
			d.lost(l.at, "a domain with ~ needs a name server, and the source has none")
		}
		r.route = nil
	case r.all: // says all that the other domains could say
		r.route = nil
	case never && len(r.search)+len(r.route) == 0:
		for _, l := range r.servers {
			d.lost(l.at, "no name is asked of this server: DNSDefaultRoute is off, and there are no domains")
		}
		r.servers = nil
	case never:
		for _, l := range r.search {
			r.route = append(r.route, directive{l.name, "~" + l.value, l.at})
		}
	case always && len(r.route) > 0:
		d.changed(r.byDefaultAt, "all names are asked of the tunnel's name servers, not only those of the domains with ~")
		r.route = nil
	case len(r.route) == 0 && !r.exclusive:
		d.changed(r.servers[0].at, "while the tunnel is up, all names are asked of its name servers alone; "+
			"there they were asked beside those of other interfaces: add ~DOMAIN to DNS to ask about some domains only")
	}
	has := map[string]bool{}
	for _, l := range slices.Concat(r.servers, r.search, r.route) {
		if !has[l.value] {
			has[l.value] = true
			d.put(&d.iface, l.name, l.value, l.at)
		}
	}
}
