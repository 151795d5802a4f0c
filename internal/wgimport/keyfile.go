package wgimport

import (
	"net/netip"
	"strconv"
	"strings"
)

// peerGroup begins the name of the section of a peer; the public key follows.
const peerGroup = "wireguard-peer."

// keyfile is a keyfile of NetworkManager in progress.
type keyfile struct {
	*draft
	name, id    string
	agent       bool // the private key is not in the file
	peerRoutes  bool
	ip4, ip6    family
	autoDefault [2]string
}

// family is what [ipv4] or [ipv6] says.
type family struct {
	never bool
	table table
}

// handler takes one key of a keyfile. b is the section of a peer.
type handler func(k *keyfile, b *block, value string, at place)

// nothing is for keys that mean nothing to a tunnel, or to a file of ours.
func nothing(*keyfile, *block, string, place) {}

// gone is for keys that have no counterpart. Their defaults say nothing.
func gone(reason string, defaults ...string) handler {
	return func(k *keyfile, _ *block, value string, at place) {
		for _, d := range append(defaults, "") {
			if value == d {
				return
			}
		}
		k.lost(at, "%s", reason)
	}
}

// direct is for keys that become one directive; their defaults become none.
func direct(name string, defaults ...string) handler {
	return func(k *keyfile, b *block, value string, at place) {
		for _, d := range append(defaults, "") {
			if value == d {
				return
			}
		}
		k.put(b, name, value, at)
	}
}

var connectionKeys = map[string]handler{
	"id":             func(k *keyfile, _ *block, value string, _ place) { k.id = value },
	"interface-name": func(k *keyfile, _ *block, value string, _ place) { k.name = value },
	"type":           nothing, "uuid": nothing, "timestamp": nothing, "read-only": nothing, "stable-id": nothing,
	"autoconnect": nothing, "autoconnect-priority": nothing, "autoconnect-retries": nothing, "auth-retries": nothing, // starting it is for systemd
	"metered": nothing, "lldp": nothing, "gateway-ping-timeout": nothing, "wait-device-timeout": nothing, "wait-activation-delay": nothing, "down-on-poweroff": nothing,
	"permissions":   gone("who may start it: only root can"),
	"zone":          gone("the zone of firewalld: set it with firewall-cmd --zone=ZONE --change-interface=NAME"),
	"dns-over-tls":  gone("the name servers are asked as systemd-resolved asks all others", "-1"),
	"llmnr":         gone("names are looked up in DNS only", "-1", "0"),
	"mdns":          gone("names are looked up in DNS only", "-1", "0"),
	"secondaries":   gone("other connections that it starts: start them by themselves"),
	"master":        gone("a tunnel is no port of another interface"),
	"slave-type":    gone("a tunnel is no port of another interface"),
	"controller":    gone("a tunnel is no port of another interface"),
	"port-type":     gone("a tunnel is no port of another interface"),
	"mptcp-flags":   gone("MPTCP is not configured here", "0"),
	"mud-url":       gone("no DHCP is spoken in a tunnel"),
	"multi-connect": nothing,
}

var wireguardKeys = map[string]handler{
	"private-key":       direct("PrivateKey"),
	"private-key-flags": func(k *keyfile, _ *block, value string, at place) { k.agent = keptElsewhere(value) },
	"listen-port":       direct("ListenPort", "0"),
	"fwmark":            direct("FwMark", "0"),
	"mtu":               direct("MTU", "0"),
	"peer-routes":       func(k *keyfile, _ *block, value string, at place) { k.flag(&k.peerRoutes, value, at) },
	"ip4-auto-default-route": func(k *keyfile, _ *block, value string, _ place) {
		k.autoDefault[0] = value
	},
	"ip6-auto-default-route": func(k *keyfile, _ *block, value string, _ place) {
		k.autoDefault[1] = value
	},
}

var peerKeys = map[string]handler{
	"endpoint":             direct("Endpoint"),
	"persistent-keepalive": direct("PersistentKeepalive", "0"),
	"preshared-key":        direct("PresharedKey"),
	"preshared-key-flags": func(k *keyfile, b *block, value string, at place) {
		if keptElsewhere(value) && len(b.values("PresharedKey")) == 0 {
			k.lost(at, "the preshared key is not in the file: it is in the keyring of a user, or typed each time: add PresharedKey or PresharedKeyFile")
		}
	},
	"allowed-ips": func(k *keyfile, b *block, value string, at place) {
		for _, e := range k.elements(value, at) {
			k.put(b, "AllowedIPs", e, at)
		}
	},
}

// keptElsewhere reports whether the flags of a secret say that the file does not
// have it: 1 is for an agent of the user, 2 for never saved.
func keptElsewhere(flags string) bool {
	n, _ := strconv.ParseUint(flags, 0, 32)
	return n&3 != 0
}

// elements are those of a list. NetworkManager passes over an element that a
// blank precedes, and over a list with commas, without a message.
func (k *keyfile) elements(value string, at place) []string {
	if strings.Contains(value, ",") || strings.Contains(value, "; ") {
		k.changed(at, "NetworkManager itself ignores an element after a comma or a blank: here, each one counts")
	}
	return elements(strings.ReplaceAll(value, ",", ";"))
}

// flag reads a boolean.
func (k *keyfile) flag(to *bool, value string, at place) {
	switch value {
	case "true", "yes", "1":
		*to = true
	case "false", "no", "0":
		*to = false
	default:
		k.lost(at, "it is neither true nor false")
	}
}

// keyfile imports a keyfile of NetworkManager.
func (m *importer) keyfile(name, text string) {
	sections := readKeyfile(text)
	if kind := lookup(sections, "connection", "type"); kind != "wireguard" {
		m.refused(name, "a connection of another type than wireguard: %s", label(kind))
		return
	}
	k := &keyfile{draft: newDraft(&m.notes, name), peerRoutes: true}
	k.ip4.table, k.ip6.table = mainTable, mainTable
	peers := map[string]*block{}
	for _, s := range sections {
		k.section(s, peers)
	}
	switch {
	case len(k.iface.values("PrivateKey")) > 0:
	case k.agent:
		k.lost(place{file: name, key: "private-key-flags"}, "the private key is not in the file: it is in the keyring of a user, or typed each time: add PrivateKey or PrivateKeyFile")
	default:
		k.changed(place{file: name, key: "private-key"}, "%s", importLoses)
	}
	k.setPeerRoutes()
	if k.name == "" {
		k.name = k.id
	}
	if k.name == "" {
		k.name = baseName(name)
	}
	m.add(k.draft, k.name)
}

// importLoses is what to say about a connection without a key. NetworkManager does not
// start one, but makes it of some files of wg-quick (findings/nm-loses-parts.sh).
const importLoses = "the file has none: where NetworkManager has imported a file of wg-quick, it has left out the hooks, and a key that they set, " +
	"and without an IPv6 address, the IPv6 name servers: import that file instead"

func lookup(sections []section, name, key string) (value string) {
	for _, s := range sections {
		for _, e := range s.entries {
			if s.name == name && e.key == key {
				value = e.value
			}
		}
	}
	return value
}

func (k *keyfile) section(s section, peers map[string]*block) {
	b, known := &k.iface, map[string]handler(nil)
	public, isPeer := strings.CutPrefix(s.name, peerGroup)
	switch {
	case isPeer:
		// As for GKeyFile, two sections with one name are one.
		known = peerKeys
		if peers[public] == nil {
			at := place{k.source, s.line, "[wireguard-peer]"}
			if _, fault := accept("Peer", "PublicKey", public); fault != "" {
				k.lost(at, "the peer: %s", fault)
				k.all(s, "its peer is not carried over")
				return
			}
			peers[public] = k.peer(at)
			k.put(peers[public], "PublicKey", public, at)
		}
		b = peers[public]
	case s.name == "connection":
		known = connectionKeys
	case s.name == "wireguard":
		known = wireguardKeys
	case s.name == "ipv4" || s.name == "ipv6":
		k.addressing(s)
		return
	case s.name == "proxy":
		k.all(s, "a proxy is not configured here", "method=0")
		return
	case s.name == "user" || s.name == ".nmmeta": // notes of other programs
		return
	}
	for _, e := range s.entries {
		at := place{k.source, e.line, label(e.key)}
		h := known[e.key]
		if h == nil {
			k.lost(at, "%s", unknownKey(e))
			continue
		}
		at.key = e.key
		h(k, b, unescape(e.value), at)
	}
}

// all reports all keys of a section.
func (k *keyfile) all(s section, reason string, but ...string) {
	for _, e := range s.entries {
		if len(but) == 0 || e.key+"="+e.value != but[0] {
			k.lost(place{k.source, e.line, label(e.key)}, "%s", reason)
		}
	}
}

func unknownKey(e entry) string {
	if e.key == "" {
		return "the line has no equals sign"
	}
	return "this key is not known here"
}

// setPeerRoutes adds the routes to AllowedIPs. Unless it was told otherwise,
// NetworkManager treats a default route as Table = auto does.
func (k *keyfile) setPeerRoutes() {
	exclusive := false
	for _, b := range k.peers {
		for _, l := range b.values("AllowedIPs") {
			p, err := parsePrefix(l.value)
			if err != nil {
				continue
			}
			f, auto := k.ip4, k.autoDefault[0]
			if p.Addr().Is6() {
				f, auto = k.ip6, k.autoDefault[1]
			}
			r := route{prefix: p.Masked(), table: f.table, at: l.at}
			isDefault := p.Bits() == 0
			if !k.peerRoutes || isDefault && f.never {
				continue
			}
			if isDefault && f.table == mainTable && auto != "0" && auto != "false" && auto != "no" {
				r.table = policyTable
			}
			exclusive = exclusive || isDefault
			k.routes = append(k.routes, r)
		}
	}
	k.dns.exclusive = exclusive
}

// metricOf reads the metric of a route.
func metricOf(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// tableOf reads the number of a table; 0 is main.
func tableOf(text string) (table, bool) {
	n, err := strconv.ParseUint(text, 0, 32)
	if n == 0 {
		return mainTable, err == nil
	}
	return table(n), err == nil
}

// destination reads the prefix of a route.
func destination(text string) (netip.Prefix, bool) {
	p, err := parsePrefix(text)
	return p.Masked(), err == nil
}
