package wgimport

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"wgd/conf"
	"wgd/internal/quote"
	"wgd/internal/wgconf"
)

// Source is a file of another program.
type Source struct {
	Name string // its path, for messages; its last element may name the interface
	Text []byte
}

// Tunnel is a file of ours.
type Tunnel struct {
	Name     string // of the interface; no two of a Result have the same
	Source   string // where it comes from
	Peers    int
	Document *wgconf.Document
}

// Result is what an Import gives.
type Result struct {
	Tunnels []Tunnel
	Notes   []Note
}

// Import reads the sources. A .network belongs to the .netdev among them that its
// section [Match] names; every other source is a tunnel, or a zip file of
// sources.
func Import(sources []Source) Result {
	m := &importer{names: map[string]int{}}
	for _, s := range sources {
		m.source(s, true)
	}
	m.networkd()
	m.sort()
	return Result{m.tunnels, m.notes.list}
}

// importer is an Import in progress.
type importer struct {
	notes
	tunnels  []Tunnel
	names    map[string]int // and how often each was asked for
	netdevs  []*netdev
	networks []unit
}

// source tells by its content what a source is.
func (m *importer) source(s Source, outside bool) {
	name := printable(s.Name)
	if bytes.HasPrefix(s.Text, []byte("PK\x03\x04")) || bytes.HasPrefix(s.Text, []byte("PK\x05\x06")) {
		if outside {
			m.archive(name, s.Text)
		} else {
			m.refused(name, "a zip file within a zip file: extract it, and import what it holds")
		}
		return
	}
	text, ok := decodeText(s.Text)
	if !ok {
		m.refused(name, "this is no text")
		return
	}
	switch formatOf(text) {
	case quickFormat:
		m.quick(name, text)
	case keyfileFormat:
		m.keyfile(name, text)
	case netdevFormat:
		m.netdevs = append(m.netdevs, newNetdev(unit{name, readUnit(text)}))
	case networkFormat:
		m.networks = append(m.networks, unit{name, readUnit(text)})
	default:
		m.refused(name, "no configuration of WireGuard that is known here: give a file of wg-quick, a keyfile of NetworkManager, "+
			"a .netdev and a .network file of systemd-networkd, or a zip file of such files")
	}
}

// decodeText gives the text of a file in UTF-8, without a byte-order mark and
// with plain line ends. Programs on Windows write UTF-16.
func decodeText(raw []byte) (string, bool) {
	var order func(b []byte) uint16
	switch {
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		order = func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		order = func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }
	}
	text := string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	if order != nil {
		if len(raw)%2 != 0 {
			return "", false
		}
		var units []uint16
		for b := raw[2:]; len(b) > 0; b = b[2:] {
			units = append(units, order(b))
		}
		text = string(utf16.Decode(units))
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return text, utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// format is what a source is written in.
type format int

const (
	unknownFormat format = iota
	quickFormat
	keyfileFormat
	netdevFormat
	networkFormat
)

// formatOf goes by the first section that one format alone has.
func formatOf(text string) format {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#") // after a header, files of wg may have a comment
		name, ok := header(strings.TrimSpace(line))
		if !ok {
			continue
		}
		switch fold := strings.ToLower(strings.TrimSpace(name)); {
		case fold == "interface" || fold == "peer":
			return quickFormat
		case name == "connection" || name == "wireguard" || strings.HasPrefix(name, peerGroup):
			return keyfileFormat
		case name == "NetDev" || name == "WireGuard" || name == "WireGuardPeer":
			return netdevFormat
		case name == "Network" || name == "Link" || name == "Address" || name == "Route":
			return networkFormat
		}
	}
	return unknownFormat
}

// add adds a tunnel, if the draft makes one, under a name of its own.
func (m *importer) add(d *draft, name string) {
	if t, ok := d.finish(""); ok {
		t.Name = m.name(d.source, name)
		m.tunnels = append(m.tunnels, t)
	}
}

// maxName is the length of the name of an interface.
const maxName = 15

// name makes a valid name for an interface out of what the source has, one that
// no other tunnel has.
func (m *importer) name(source, wanted string) string {
	name := wanted
	if conf.ValidInterfaceName(name) != nil {
		name = plainName(name)
	}
	unique := name
	for m.names[unique] > 0 {
		m.names[name]++
		number := fmt.Sprintf("-%d", m.names[name])
		unique = name[:min(len(name), maxName-len(number))] + number
	}
	m.names[unique]++
	if unique != wanted {
		m.changed(place{file: source}, "the interface is called %s: the name in the source is taken, or is not one for an interface", unique)
	}
	return unique
}

// plainName makes a name of the letters that the name of an interface may have.
func plainName(name string) string {
	if quote.LooksLikeKey(name) {
		return defaultName
	}
	name = strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-", r) {
			return r
		}
		return '-'
	}, name), "-.")
	name = strings.TrimRight(name[:min(len(name), maxName)], "-.")
	if conf.ValidInterfaceName(name) != nil {
		return defaultName
	}
	return name
}

const defaultName = "wg0"

// baseName is the name of a file without its folder and its ending.
func baseName(file string) string {
	base := path.Base(strings.ReplaceAll(file, `\`, "/"))
	return strings.TrimSuffix(base, path.Ext(base))
}
