package wgimport

import (
	"net/netip"
	"slices"
	"strings"

	"wgd/internal/wgconf"
)

// draft is a file of ours in the making.
type draft struct {
	*notes
	source string // the name of the source, for what has no better place
	iface  block
	peers  []*block
	dns    resolver
	routes []route
	// addresses are those of the interface, and connectedTo their networks. Of
	// IPv6, the kernel has each address once; of IPv4, once with each length.
	addresses, connectedTo map[netip.Prefix]bool
	// unrouted: the source gave no AllowedIPs a route of its own accord.
	unrouted bool
}

// block is a section of the file.
type block struct {
	name  string // "Interface" or "Peer"
	at    place
	lines []directive
}

// directive is a line of a section, or an element of one.
type directive struct {
	name, value string
	at          place
}

func newDraft(n *notes, source string) *draft {
	return &draft{notes: n, source: source, iface: block{name: "Interface", at: place{file: source}},
		addresses: map[netip.Prefix]bool{}, connectedTo: map[netip.Prefix]bool{}}
}

func (d *draft) peer(at place) *block {
	b := &block{name: "Peer", at: at}
	d.peers = append(d.peers, b)
	return b
}

// put adds a directive, if package wgconf accepts it, and reports whether it
// does. Of a directive that is no list, the last one counts.
func (d *draft) put(b *block, name, value string, at place) bool {
	warnings, fault := accept(b.name, name, value)
	if fault != "" {
		d.lost(at, "%s", fault)
		return false
	}
	for _, w := range warnings {
		if name != "DNS" { // the rest of the list counts as well
			d.changed(at, "%s", w)
		}
	}
	if !isList(name) && !isHook(name) {
		b.drop(d, name, at)
	}
	b.lines = append(b.lines, directive{name, value, at})
	return true
}

// drop takes a directive away that a later line replaces.
func (b *block) drop(d *draft, name string, by place) {
	b.lines = slices.DeleteFunc(b.lines, func(l directive) bool {
		if l.name != name {
			return false
		}
		d.lost(l.at, "%s in line %d of %s counts", by.key, by.line, by.file)
		return true
	})
}

// reset takes away all elements of a list, as an empty assignment of systemd
// does.
func (b *block) reset(name string) {
	b.lines = slices.DeleteFunc(b.lines, func(l directive) bool { return l.name == name })
}

func (b *block) values(name string) (list []directive) {
	for _, l := range b.lines {
		if l.name == name {
			list = append(list, l)
		}
	}
	return list
}

func isList(name string) bool { return name == "Address" || name == "DNS" || name == "AllowedIPs" }
func isHook(name string) bool { return name == "PostUp" }

// env has some folder of credentials: that there is one is for later.
var env = wgconf.Env{Credentials: "/run/credentials"}

// somePeer is a public key that stands for any.
const somePeer = "40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg="

// accept asks package wgconf whether a directive may have that value. It says
// what is wrong, and what is doubtful.
func accept(section, name, value string) (warnings []string, fault string) {
	switch {
	case value == "":
		return nil, "it has no value"
	case strings.ContainsFunc(value, func(r rune) bool { return r == '#' || r < ' ' || r == 0x7f }):
		return nil, "it has a character that the file cannot hold: a #, which begins a comment, or a control character"
	case !isHook(name) && !strings.HasSuffix(name, "File") && strings.ContainsAny(value, " ,"):
		return nil, "it is more than one word"
	}
	text := "[" + section + "]\n"
	if section == "Peer" && name != "PublicKey" {
		text += "PublicKey=" + somePeer + "\n"
	}
	at := strings.Count(text, "\n") + 1
	document := wgconf.Parse([]byte(text + name + " = " + value + "\n"))
	defer document.Erase()
	file, problems := document.Decode(env)
	if file != nil {
		change := file.Change()
		change.Erase()
	}
	for _, p := range problems {
		text := strings.TrimPrefix(strings.TrimPrefix(p.Text, name+": "), name+" ") // the message has the key
		switch {
		case !p.Warning:
			return nil, text
		case p.Line == at:
			warnings = append(warnings, text)
		}
	}
	return warnings, ""
}

// finish makes the file. Without one, a note says why.
func (d *draft) finish(name string) (Tunnel, bool) {
	d.setDNS()
	d.setRoutes()
	text, places := d.render()
	defer clear(text)
	document := wgconf.Parse(text)
	file, problems := document.Decode(env)
	whence := func(line int) place {
		if line > 0 && line <= len(places) {
			return places[line-1]
		}
		return place{file: d.source}
	}
	for _, p := range problems {
		kind := Refused
		if p.Warning {
			kind = Changed
		}
		d.add(whence(p.Line), kind, "%s", relocate(p.Text, func(n int) int { return whence(n).line }))
	}
	if file == nil {
		document.Erase()
		return Tunnel{}, false
	}
	change := file.Change()
	change.Erase()
	return Tunnel{Name: name, Source: d.source, Peers: len(file.Peers), Document: document}, true
}

// render writes the file, and says of each line where it comes from.
func (d *draft) render() (text []byte, places []place) {
	line := func(s string, at place) {
		text = append(text, s+"\n"...)
		places = append(places, at)
	}
	write := func(b *block, order []wgconf.Directive) {
		line("["+b.name+"]", b.at)
		for _, o := range order {
			values := b.values(o.Name)
			for i := 0; i < len(values); i++ {
				v := values[i]
				for isList(v.name) && i+1 < len(values) && values[i+1].at == v.at {
					i++
					v.value += ", " + values[i].value
				}
				line(v.name+" = "+v.value, v.at)
			}
		}
	}
	write(&d.iface, wgconf.InterfaceDirectives())
	for _, p := range d.peers {
		line("", p.at)
		write(p, wgconf.PeerDirectives())
	}
	return text, places
}

// address adds an address of the interface.
func (d *draft) address(text string, at place) {
	p, err := parsePrefix(text)
	if err != nil {
		d.put(&d.iface, "Address", text, at) // says what is wrong
		return
	}
	same := p
	if p.Addr().Is6() {
		same = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
	}
	if d.addresses[same] {
		d.lost(at, "the interface has this address already")
		return
	}
	if d.put(&d.iface, "Address", p.String(), at) {
		d.addresses[same] = true
		d.connectedTo[p.Masked()] = true
	}
}

// resetAddresses takes all addresses away.
func (d *draft) resetAddresses() {
	d.iface.reset("Address")
	clear(d.addresses)
	clear(d.connectedTo)
}

// parsePrefix reads ADDRESS or ADDRESS/LENGTH.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errNoPrefix
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
