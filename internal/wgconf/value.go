package wgconf

import (
	"net/netip"
	"path"
	"strconv"
	"strings"

	"wgd/internal/quote"
)

// off is the value for "none" of several directives.
const off = "off"

// The MTUs that the kernel accepts for a TUN interface.
const (
	minMTU = 68
	maxMTU = 65535
)

// number decodes decimal digits and nothing else. As with wg, leading zeros are allowed.
// A number that is too large is an error, although wg reads port 70000 as 4464.
func number(text string, limit uint64) (uint64, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n <= limit
}

func decimal(n uint64) []string { return []string{strconv.FormatUint(n, 10)} }

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func decodeFwMark(d *decoder, v value, i *Interface) {
	n, ok := number(v.text, 1<<32-1)
	if digits, hex := strings.CutPrefix(v.text, "0x"); hex {
		parsed, err := strconv.ParseUint(digits, 16, 32)
		n, ok = parsed, err == nil
	}
	if !ok && fold(v.text) != off {
		d.wrong(v, v.text, "give a number up to 4294967295 or 0xffffffff, or off")
		return
	}
	mark := uint32(n)
	i.FwMark = &mark
}

// The tables that the kernel has names for; the value 0 means main, too.
var tables = map[string]uint32{"main": 254, "default": 253, "local": 255, "0": 254}

// String returns the value for the directive Table; "" for auto.
func (t Table) String() string {
	switch {
	case t.off:
		return off
	case t.number == 0:
		return ""
	}
	return strconv.FormatUint(uint64(t.number), 10)
}

// decodeTable accepts off and auto in lower case only, as wg-quick does. It refuses
// 010, which ip reads as 8.
func decodeTable(d *decoder, v value, i *Interface) {
	switch {
	case v.text == off:
		i.Network.Table = Table{off: true}
		return
	case v.text == "auto" || v.text == "":
		i.Network.Table = Table{}
		return
	case tables[v.text] != 0:
		i.Network.Table = Table{number: tables[v.text]}
		return
	}
	n, err := strconv.ParseUint(v.text, 10, 32)
	if digits, hex := strings.CutPrefix(v.text, "0x"); hex {
		n, err = strconv.ParseUint(digits, 16, 32)
	} else if strings.HasPrefix(v.text, "0") || strings.HasPrefix(v.text, "+") {
		n = 0
	}
	if err != nil || n == 0 {
		d.wrong(v, v.text, "write auto, off, main, default, local, or a number from 1 to 4294967295")
		return
	}
	i.Network.Table = Table{number: uint32(n)}
}

// prefixes prints prefixes: of single addresses in AllowedIPs, too, the length.
func prefixes(list []netip.Prefix) []string {
	var texts []string
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return texts
}

// prefix decodes ADDRESS or ADDRESS/LENGTH. As with wg, the length may have leading
// zeros, which netip refuses.
func prefix(text string) (netip.Prefix, bool) {
	address, length, has := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	if !has {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	n, ok := number(length, uint64(addr.BitLen()))
	return netip.PrefixFrom(addr, int(n)), ok
}

// samePrefix normalizes an element of AllowedIPs.
func samePrefix(text string) string {
	if p, ok := prefix(text); ok {
		return p.String()
	}
	return text
}

// sameMasked normalizes an element whose host bits do not matter.
func sameMasked(text string) string {
	if p, ok := prefix(text); ok {
		return p.Masked().String()
	}
	return text
}

// prefixList decodes the value of AllowedIPs or ExcludedIPs. Unlike in Address and DNS,
// a comma at its end is an error, as with wg.
func (d *decoder) prefixList(v value) (list []netip.Prefix) {
	for text := range strings.SplitSeq(v.text, ",") {
		p, ok := prefix(text)
		switch {
		case ok && p != p.Masked():
			d.problems.warnf(v.line, "%s %s: bits of the host are set: %s is meant, or %s", v.name, quote.Text(text), p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
			list = append(list, p.Masked())
		case ok:
			list = append(list, p)
		case text == "":
			d.problems.errorf(v.line, "%s: there is nothing before or after a comma: remove the comma", v.name)
		case text[0] == '+' || text[0] == '-':
			d.wrong(v, text, "signs are for the command wg set: write the prefix without one; ExcludedIPs takes addresses out")
		default:
			d.wrong(v, text, "write ADDRESS/LENGTH, with a length of at most 32 for IPv4 and 128 for IPv6")
		}
	}
	return list
}

// words are the elements of the lists that wg-quick reads: between commas and
// white space, as many as there are.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || strings.ContainsRune(space, r) })
}

func decodeAddress(d *decoder, v value, i *Interface) {
	for _, word := range words(v.text) {
		p, ok := prefix(word)
		a := p.Addr()
		switch {
		case !ok:
			d.wrong(v, word, "write ADDRESS/LENGTH: 10.2.0.1/24 or fd00:2::1/64, for example")
		case a.IsUnspecified() || a.Is6() && (a.IsLoopback() || a.IsMulticast()):
			d.wrong(v, word, "the kernel gives this address to no interface of this kind: choose one of the tunnel's network")
		case d.hasAddress(v, p):
		default:
			i.Network.Addresses = append(i.Network.Addresses, p)
		}
	}
}

// hasAddress reports whether the kernel would refuse the address as a duplicate: it
// accepts each IPv6 address once, and each IPv4 address once with each length.
func (d *decoder) hasAddress(v value, p netip.Prefix) bool {
	for _, other := range d.file.Interface.Network.Addresses {
		if other == p {
			d.problems.warnf(v.line, "Address %s is in the file twice: remove one of them", p)
			return true
		}
		if p.Addr().Is6() && other.Addr() == p.Addr() {
			d.problems.errorf(v.line, "Address %s: the interface has this address already, as %s: remove one of them", p, other)
			return true
		}
	}
	return false
}

// decodeDNS distinguishes addresses from domains as wg-quick does.
func decodeDNS(d *decoder, v value, i *Interface) {
	dns := &i.Network.DNS
	for _, word := range words(v.text) {
		if strings.Contains(word, ":") || strings.Trim(word, "0123456789.") == "" {
			server, err := netip.ParseAddr(word)
			if err != nil {
				d.wrong(v, word, "this is no address: write 10.0.0.53 or fd00::53, without a port")
				continue
			}
			dns.Servers = append(dns.Servers, server)
			continue
		}
		name, route := strings.CutPrefix(word, "~")
		domain, ok := domain(name)
		switch {
		case !ok || domain == "." && !route:
			d.wrong(v, word, "write the address of a name server, a domain to search, or ~DOMAIN")
		case route:
			dns.Route = append(dns.Route, domain)
		default:
			dns.Search = append(dns.Search, domain)
		}
	}
}

// sameDNS normalizes a server or a domain.
func sameDNS(text string) string {
	if server, err := netip.ParseAddr(text); err == nil {
		return server.String()
	}
	if len(text) > 1 && text != "~." {
		text = strings.TrimSuffix(text, ".")
	}
	return fold(text)
}

func encodeDNS(i *Interface) (list []string) {
	for _, server := range i.Network.DNS.Servers {
		list = append(list, server.String())
	}
	for _, domain := range i.Network.DNS.Search {
		list = append(list, string(domain))
	}
	for _, domain := range i.Network.DNS.Route {
		list = append(list, "~"+string(domain))
	}
	return list
}

// domain decodes a domain name: labels of letters, digits, - and _.
func domain(name string) (Domain, bool) {
	if name == "." {
		return ".", true
	}
	name = strings.TrimSuffix(name, ".")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(fold(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return Domain(name), len(name) <= 253
}

// KeyFile is the contents of a key file.
type KeyFile struct {
	Text    []byte // zeroed after use
	Exposed bool   // users other than its owner may read it
}

// credentials begins the path of a credential that systemd passes to a service.
const credentials = "$CREDENTIALS_DIRECTORY/"

func keyFileMeaning(which string) string {
	return "The file that holds the " + which + " key, instead of the key itself: an absolute path, a path from the folder of the configuration file, or `" +
		credentials + "NAME` for a credential of a systemd service."
}

// isPath reports whether the value is a path, in which white space counts.
func isPath(name string) bool { return name == "PrivateKeyFile" || name == "PresharedKeyFile" }

// keyFile reads the file that v names and passes its text to take.
func (d *decoder) keyFile(v value, take func(text string) error) {
	where := v.text
	if name, ok := strings.CutPrefix(where, credentials); ok {
		where = path.Join(d.env.Credentials, name)
		if d.env.Credentials == "" {
			d.problems.add(Problem{Line: v.line, Warning: d.env.CheckOnly,
				Text: v.name + " " + quotePath(v.text) + ": not read: $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential="})
			return
		}
	} else if !path.IsAbs(where) {
		where = path.Join(d.env.Dir, where)
	}
	if d.env.ReadKey == nil {
		return
	}
	file, err := d.env.ReadKey(where)
	defer clear(file.Text)
	if err != nil {
		d.problems.errorf(v.line, "%s %s: %s: correct the path, or its permissions", v.name, quotePath(v.text), reason(err))
		return
	}
	if file.Exposed {
		d.problems.warnf(v.line, "%s %s: others may read this file: chmod 600 it", v.name, quotePath(v.text))
	}
	if err := take(string(file.Text)); err != nil {
		d.problems.errorf(v.line, "%s %s: %v", v.name, quotePath(v.text), err)
	}
}
