package wgimport

import (
	"path"
	"slices"
	"strings"
)

// unit is a file of systemd-networkd.
type unit struct {
	name     string
	sections []section
}

// netdev is a .netdev and the .network files that belong to it.
type netdev struct {
	unit
	device   string // the name of the interface
	networks []unit
}

func newNetdev(u unit) *netdev {
	return &netdev{unit: u, device: lookup(u.sections, "NetDev", "Name")}
}

// link is a netdev in progress.
type link struct {
	*draft
	mark     string // FirewallMark
	defaults defaults
	rules    []rule
}

// defaults are where the routes to AllowedIPs go.
type defaults struct {
	table  string // as written; "": no routes
	metric string
}

// peerRoutes is a peer and where its routes go.
type peerRoutes struct {
	*block
	defaults
}

// networkd makes a tunnel of each .netdev.
func (m *importer) networkd() {
	for _, n := range m.networks {
		if !m.assign(n) {
			m.refused(n.name, "no .netdev among the files has the name that its section [Match] gives: import the two together")
		}
	}
	for _, d := range m.netdevs {
		if kind := lookup(d.sections, "NetDev", "Kind"); kind != "wireguard" {
			m.refused(d.name, "an interface of another kind than wireguard: %s", label(kind))
			continue
		}
		l := &link{draft: newDraft(&m.notes, d.name)}
		l.netdev(d.sections)
		for _, n := range d.networks {
			l.network(n)
		}
		if len(d.networks) == 0 {
			l.changed(place{file: d.name}, "there is no .network file for it: its addresses, name servers and routes are missing; import the two together")
		}
		l.policyRules()
		name := d.device
		if name == "" {
			name = baseName(d.name)
		}
		m.add(l.draft, name)
	}
}

// assign gives a .network to the .netdev files whose name it matches. As for
// systemd, an interface has the first .network that matches.
func (m *importer) assign(n unit) bool {
	var patterns []string
	for _, s := range n.sections {
		for _, e := range s.entries {
			if s.name == "Match" && e.key == "Name" {
				patterns = append(patterns, strings.Fields(e.value)...)
			}
		}
	}
	matched := false
	for _, d := range m.netdevs {
		if !matches(patterns, d.device) {
			continue
		}
		matched = true
		if len(d.networks) > 0 {
			m.lost(place{file: n.name}, "%s is the .network file of this interface: systemd uses only one", d.networks[0].name)
			continue
		}
		d.networks = append(d.networks, n)
	}
	return matched
}

// matches reports whether a list of shell patterns matches; with ! before it, it
// is turned round.
func matches(patterns []string, name string) bool {
	if len(patterns) == 0 {
		return false
	}
	first, not := strings.CutPrefix(patterns[0], "!")
	return not != slices.ContainsFunc(append([]string{first}, patterns[1:]...), func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// assignment is a key of a unit, with its place.
type assignment struct {
	place
	value string
}

// each calls f for each key of a section; f reports whether it knows the key. A
// message about one that it does not know needs label.
func (l *link) each(file string, s section, f func(a assignment) bool) {
	for _, e := range s.entries {
		a := assignment{place{file, e.line, e.key}, e.value}
		if e.key == "" {
			l.lost(a.place, "the line has no equals sign")
			continue
		}
		if !f(a) {
			a.key = label(e.key)
			l.lost(a.place, "it has no counterpart here, or is not known")
		}
	}
}

// netdev imports the sections of a .netdev.
func (l *link) netdev(sections []section) {
	var peers []*peerRoutes
	for _, s := range sections {
		at := place{l.source, s.line, "[" + label(s.name) + "]"}
		switch s.name {
		case "NetDev":
			l.each(l.source, s, l.netdevKey)
		case "WireGuard":
			l.each(l.source, s, l.wireguardKey)
		case "WireGuardPeer":
			if !l.isPeer(s, at) {
				continue
			}
			p := &peerRoutes{block: l.peer(at)}
			l.each(l.source, s, func(a assignment) bool { return l.peerKey(p, a) })
			peers = append(peers, p)
		case "Match": // where it applies
			l.each(l.source, s, func(a assignment) bool {
				a.key = label(a.key)
				l.lost(a.place, "the file is for this machine, without a condition")
				return true
			})
		default:
			l.strangers(l.source, s)
		}
	}
	l.peerRoutes(peers)
}

// isPeer reports whether a section has a public key. Without one, systemd
// ignores it as well.
func (l *link) isPeer(s section, at place) bool {
	public := lookup([]section{s}, s.name, "PublicKey")
	_, fault := accept("Peer", "PublicKey", public)
	if public == "" {
		fault = "there is no PublicKey"
	}
	if fault == "" {
		return true
	}
	l.lost(at, "the peer: %s", fault)
	for _, e := range s.entries {
		l.lost(place{at.file, e.line, label(e.key)}, "its peer is not carried over")
	}
	return false
}

// strangers reports all keys of a section that has no counterpart.
func (l *link) strangers(file string, s section) {
	for _, e := range s.entries {
		l.lost(place{file, e.line, label(e.key)}, "the section [%s] has no counterpart here, or is not known", label(s.name))
	}
}

func (l *link) netdevKey(a assignment) bool {
	switch a.key {
	case "Name", "Kind", "Description":
	case "MTUBytes":
		l.set("MTU", a)
	case "MACAddress":
		l.lost(a.place, "a tunnel has no hardware address")
	default:
		return false
	}
	return true
}

// set makes a directive of [Interface]. An empty value is no value.
func (l *link) set(name string, a assignment) {
	if a.value == "" {
		l.iface.reset(name)
		return
	}
	l.put(&l.iface, name, a.value, a.place)
}

func (l *link) wireguardKey(a assignment) bool {
	switch a.key {
	case "PrivateKey", "PrivateKeyFile":
		l.secret(&l.iface, a)
	case "ListenPort":
		if a.value == "auto" {
			a.value = "0"
		}
		l.set("ListenPort", a)
	case "FirewallMark", "FwMark":
		l.mark = a.value
		l.set("FwMark", a)
	case "RouteTable":
		l.defaults.table = a.value
	case "RouteMetric":
		l.defaults.metric = a.value
	default:
		return false
	}
	return true
}

// secret imports a key, or the file that has it. As for systemd, a file counts
// before a key. A value that begins with @ names a credential.
func (l *link) secret(b *block, a assignment) {
	name, isFile := strings.CutSuffix(a.key, "File")
	if a.value == "" {
		b.reset(a.key)
		return
	}
	if credential, ok := strings.CutPrefix(a.value, "@"); ok && !isFile {
		if strings.Contains(credential, "/") || !l.put(b, name+"File", "$CREDENTIALS_DIRECTORY/"+credential, a.place) {
			l.lost(a.place, "the name of the credential is not valid")
			return
		}
		l.changed(a.place, "the credential must be given to the service that starts the tunnel: LoadCredential=, or ImportCredential= of systemd 254")
		b.drop(l.draft, name, a.place)
		return
	}
	if isFile && !path.IsAbs(a.value) {
		l.lost(a.place, "the path does not begin with a /: systemd ignores it as well")
		return
	}
	if !isFile && len(b.values(name+"File")) > 0 {
		l.lost(a.place, "%sFile counts", name)
		return
	}
	if l.put(b, a.key, a.value, a.place) && isFile {
		b.drop(l.draft, name, a.place)
	}
}

func (l *link) peerKey(p *peerRoutes, a assignment) bool {
	switch a.key {
	case "PublicKey", "Endpoint", "PersistentKeepalive":
		if a.value == "" || a.value == "off" {
			p.reset(a.key)
			return true
		}
		l.put(p.block, a.key, a.value, a.place)
	case "PresharedKey", "PresharedKeyFile":
		l.secret(p.block, a)
	case "AllowedIPs":
		if a.value == "" {
			p.reset(a.key)
		}
		for _, e := range strings.FieldsFunc(a.value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			l.put(p.block, "AllowedIPs", e, a.place)
		}
	case "RouteTable":
		p.table = a.value
	case "RouteMetric":
		p.metric = a.value
	default:
		return false
	}
	return true
}

// peerRoutes adds the routes to AllowedIPs, which systemd sets only if it is
// told a table for them.
func (l *link) peerRoutes(peers []*peerRoutes) {
	l.unrouted = true
	for _, p := range peers {
		if p.table == "" {
			p.table = l.defaults.table
		}
		if p.metric == "" {
			p.metric = l.defaults.metric
		}
		if isOff(p.table) || p.table == "" {
			continue
		}
		l.unrouted = false
		t, ok := l.table(p.table)
		if !ok {
			l.lost(place{p.at.file, p.at.line, "RouteTable"}, "a table by a name that /etc/systemd/networkd.conf defines: the routes of this peer; write its number")
			continue
		}
		metric, ok := metricOf(p.metric)
		if p.metric != "" && !ok {
			l.lost(place{p.at.file, p.at.line, "RouteMetric"}, "it is no number")
		}
		for _, line := range p.values("AllowedIPs") {
			if prefix, ok := destination(line.value); ok {
				l.routes = append(l.routes, route{prefix, t, metric, line.at})
			}
		}
	}
}

// table reads a table as systemd has it.
func (l *link) table(text string) (table, bool) {
	switch text {
	case "main", "":
		return mainTable, true
	case "default":
		return 253, true
	case "local":
		return 255, true
	}
	t, ok := tableOf(text)
	return t, ok && text != "0"
}

func isOff(text string) bool {
	return slices.Contains([]string{"no", "false", "off", "0", "n", "f"}, strings.ToLower(text))
}

func isOn(text string) bool {
	return slices.Contains([]string{"yes", "true", "on", "1", "y", "t"}, strings.ToLower(text))
}
