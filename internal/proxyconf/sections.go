package proxyconf

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"wgd/internal/quote"
)

// A sectionRow is the section of a service: its kind and its keys.
type sectionRow struct {
	name string
	kind Kind
	keys []keyRow
}

// A keyRow is a key of a section.
type keyRow struct {
	name     string
	value    string // what it looks like
	required bool
	decode   func(s *Service, text string) error
}

var (
	bindAddress = keyRow{"BindAddress", "ADDRESS:PORT", true, func(s *Service, text string) (err error) {
		s.Listen, err = ParseListen(text)
		return err
	}}
	insideTarget = keyRow{"Target", "HOST:PORT", true, func(s *Service, text string) (err error) {
		s.Target, err = ParseTarget(text)
		return err
	}}
	outsideTarget = keyRow{"Target", "HOST:PORT", true, func(s *Service, text string) (err error) {
		s.Target, err = parseOutside(text)
		return err
	}}
	listenPort = keyRow{"ListenPort", "PORT", true, func(s *Service, text string) (err error) {
		s.Listen, err = ParseListen(":" + text)
		return err
	}}
	username = keyRow{"Username", "NAME", false, func(s *Service, text string) error {
		s.Username = text
		return nil
	}}
	password = keyRow{"Password", "PASSWORD", false, func(s *Service, text string) error {
		s.Password = text
		return nil
	}}
	certFile = keyRow{"CertFile", "PATH", false, func(s *Service, text string) error {
		s.CertFile = text
		return nil
	}}
	keyFile = keyRow{"KeyFile", "PATH", false, func(s *Service, text string) error {
		s.KeyFile = text
		return nil
	}}
	inactivityTimeout = keyRow{"InactivityTimeout", "SECONDS", false, func(s *Service, text string) error {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return expected(text, "seconds, or 0 for no limit")
		}
		s.Timeout = time.Duration(n) * time.Second
		return nil
	}}
)

// serviceRows are the sections of services.
var serviceRows = []sectionRow{
	{"Socks5", SOCKS5, []keyRow{bindAddress, username, password}},
	{"http", HTTP, []keyRow{bindAddress, username, password, certFile, keyFile}},
	{"TCPClientTunnel", Forward, []keyRow{bindAddress, insideTarget}},
	{"TCPServerTunnel", Remote, []keyRow{listenPort, outsideTarget}},
	{"UDPProxyTunnel", UDPForward, []keyRow{bindAddress, insideTarget, inactivityTimeout}},
	{"STDIOTunnel", Stdio, []keyRow{insideTarget}},
}

// serviceSections maps the folded name of a section to its row.
var serviceSections = func() map[string]*sectionRow {
	m := map[string]*sectionRow{}
	for i := range serviceRows {
		m[fold(serviceRows[i].name)] = &serviceRows[i]
	}
	return m
}()

// services decodes all sections but [Interface] and [Peer].
func (r *reader) services(entries []entry) {
	for start := 0; start < len(entries); {
		end := start + 1
		for end < len(entries) && entries[end].form != header {
			end++
		}
		if e := entries[start]; e.form == header {
			r.section(e.name, entries[start+1:end], start+1)
		}
		start = end
	}
}

// section decodes the section whose header is in line at.
func (r *reader) section(name string, entries []entry, at int) {
	row := serviceSections[fold(name)]
	switch {
	case row != nil:
		r.service(row, entries, at)
	case fold(name) == resolveSection:
		r.resolve(entries, at)
	case fold(name) != interfaceSection && fold(name) != peerSection:
		var names []string
		for _, row := range serviceRows {
			names = append(names, row.name)
		}
		r.warnf(at, "[%s] is ignored: there is no such section%s", quote.Text(name), suggest(name, append(names, "Interface", "Peer", "Resolve")))
	}
}

// service decodes the section of a service.
func (r *reader) service(row *sectionRow, entries []entry, at int) {
	s := Service{Kind: row.kind}
	before := len(r.problems)
	given := r.keys(entries, at, row.keys, func(k *keyRow, text string) error { return k.decode(&s, text) })
	for i := range row.keys {
		if k := &row.keys[i]; k.required && given[k.name] == 0 {
			r.errorf(at, "[%s] has no %s: add a line %s = %s", row.name, k.name, k.name, k.value)
		}
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		r.errorf(at, "[%s] has one of CertFile and KeyFile: give both, or none", row.name)
	}
	if s.Username == "" && s.Password != "" && s.Kind == SOCKS5 {
		r.warnf(given["Password"], "the Password has no Username, so everybody may use this proxy")
	}
	if max(len(s.Username), len(s.Password)) > 255 {
		r.errorf(at, "[%s]: a Username and a Password have at most 255 bytes", row.name)
	}
	s.Forever = s.Kind == UDPForward && s.Timeout == 0
	if len(r.problems) == before || !r.problems[before:].HasErrors() {
		if err := s.check(); err != nil {
			r.errorf(at, "[%s]: %v", row.name, err)
		}
	}
	r.config.Services = append(r.config.Services, s)
}

// keys decodes the keys of a section and returns their lines. Of a repeated key, the
// first one counts.
func (r *reader) keys(entries []entry, at int, rows []keyRow, decode func(k *keyRow, text string) error) map[string]int {
	given := map[string]int{}
	for i, e := range entries {
		at := at + 1 + i
		if e.form != setting {
			continue
		}
		k := findKey(rows, e.name)
		if k == nil {
			var names []string
			for _, row := range rows {
				names = append(names, row.name)
			}
			r.warnf(at, "%s is ignored: there is no such key in this section%s", quote.Text(e.name), suggest(e.name, names))
			continue
		}
		if first := given[k.name]; first != 0 {
			r.warnf(at, "%s is also on line %d: that one counts", k.name, first)
			continue
		}
		given[k.name] = at
		value, ok := r.expand(e, at)
		switch {
		case !ok:
		case value == "" && k.required:
			r.errorf(at, "%s has no value: give %s", k.name, k.value)
		case value != "":
			if err := decode(k, value); err != nil {
				r.errorf(at, "%s %v", k.name, err)
			}
		}
	}
	return given
}

func findKey(rows []keyRow, name string) *keyRow {
	for i := range rows {
		if fold(rows[i].name) == fold(name) {
			return &rows[i]
		}
	}
	return nil
}

// resolve decodes [Resolve].
func (r *reader) resolve(entries []entry, at int) {
	rows := []keyRow{{name: "ResolveStrategy", value: "auto, ipv4 or ipv6"}}
	r.keys(entries, at, rows, func(_ *keyRow, text string) error {
		family, ok := map[string]Family{"auto": Auto, "ipv4": IPv4, "ipv6": IPv6}[fold(text)]
		if !ok {
			return expected(text, "auto, ipv4 or ipv6")
		}
		r.config.Preferred = family
		return nil
	})
}

// checkKeys are the keys of [Interface] that wireproxy alone has, in small letters.
var checkKeys = map[string]bool{"checkalive": true, "checkaliveinterval": true}

// check decodes a line CheckAlive or CheckAliveInterval.
func (r *reader) check(e entry, at int) {
	value, ok := r.expand(e, at)
	if !ok {
		return
	}
	c := &r.config.Check
	if fold(e.name) == "checkaliveinterval" {
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n == 0 {
			r.errorf(at, "CheckAliveInterval %v", expected(value, "a number of seconds from 1"))
			return
		}
		c.Interval = time.Duration(n) * time.Second
		return
	}
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		a, err := netip.ParseAddr(word)
		if err != nil {
			r.errorf(at, "CheckAlive %v", expected(word, "addresses inside the tunnel"))
			continue
		}
		c.Addresses = append(c.Addresses, a.Unmap())
	}
}

// checkInterval completes CheckAlive when all lines are decoded.
func (r *reader) checkInterval() {
	c := &r.config.Check
	if c.Interval != 0 && len(c.Addresses) == 0 {
		r.errorf(0, "CheckAliveInterval without CheckAlive: add a line CheckAlive = ADDRESS, or remove it")
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
}
