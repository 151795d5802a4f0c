package proxyconf

import (
	"bytes"
	"encoding/binary"
	"strings"

	"wgd/internal/quote"
	"wgd/internal/wgconf"
	"wgd/key"
)

// Env is what Read needs in addition to the text.
type Env struct {
	wgconf.Env
	// LookupEnv returns the value of an environment variable.
	LookupEnv func(name string) (value string, set bool)
	// ReadFile reads the file that WGConfig names; a relative path starts at the folder
	// in which the program runs, as with wireproxy.
	ReadFile func(path string) ([]byte, error)
}

// IsWireproxy reports whether a text is a file of wireproxy rather than one of wg-quick:
// it has a section of a service, or something else that wg-quick would refuse.
func IsWireproxy(text []byte) bool {
	section := ""
	for _, e := range scan(text) {
		switch {
		case e.form == header:
			section = fold(e.name)
			if serviceSections[section] != nil || section == resolveSection {
				return true
			}
		case e.form != setting:
		case section == "" && fold(e.name) == includeKey:
			return true
		case section == interfaceSection && checkKeys[fold(e.name)]:
			return true
		case strings.HasPrefix(e.value, "$") && (section == interfaceSection || section == peerSection) && expands(e.name):
			return true
		}
	}
	return false
}

// Read reads a file of either kind. The path is for problems. If the problems include an
// error, the Config is nil.
func Read(path string, text []byte, env Env) (*Config, Problems) {
	r := &reader{env: env, path: path, config: &Config{}}
	if IsWireproxy(text) {
		r.wireproxy(text)
	} else {
		r.tunnel(text)
	}
	r.problems.sort(path)
	if r.problems.HasErrors() {
		if r.config.Tunnel != nil {
			r.config.Erase()
		}
		return nil, r.problems
	}
	return r.config, r.problems
}

// A reader is a Read in progress.
type reader struct {
	env      Env
	path     string
	config   *Config
	problems Problems
}

// tunnel decodes a text that has the form of wg-quick.
func (r *reader) tunnel(text []byte) {
	document := wgconf.Parse(text)
	defer document.Erase()
	file, problems := document.Decode(r.env.Env)
	r.config.Tunnel = file
	r.addAll(problems)
}

// The sections that are no services, in small letters.
const (
	interfaceSection = "interface"
	peerSection      = "peer"
	resolveSection   = "resolve"
)

// includeKey is the key of the line above all sections that names a file of wg-quick.
const includeKey = "wgconfig"

func (r *reader) wireproxy(text []byte) {
	entries := r.scan(text)
	include, at := r.include(entries)
	r.services(entries)
	if at == 0 {
		r.own(text, entries)
		return
	}
	for i, e := range entries {
		if e.form == header && (fold(e.name) == interfaceSection || fold(e.name) == peerSection) {
			r.warnf(i+1, "[%s] is ignored: WGConfig in line %d names the file that has it", e.name, at)
		}
	}
	r.included(include, at)
}

// scan reads the lines, and reports those that are none.
func (r *reader) scan(text []byte) []entry {
	entries := scan(text)
	for i, e := range entries {
		if e.form == malformed {
			r.errorf(i+1, "%v", e.err)
		}
	}
	return entries
}

// include returns what WGConfig says, and its line, or 0 if there is no such line.
func (r *reader) include(entries []entry) (file string, at int) {
	for i, e := range entries {
		switch {
		case e.form == header:
			return file, at
		case e.form != setting:
		case fold(e.name) != includeKey:
			r.warnf(i+1, "%s is ignored: above the sections there is only WGConfig", quote.Text(e.name))
		case at == 0:
			value, ok := r.expand(e, i+1)
			if ok && value == "" {
				r.errorf(i+1, "WGConfig has no value: give the path of a file")
			}
			file, at = value, i+1
		}
	}
	return file, at
}

// included reads the file that WGConfig names.
func (r *reader) included(file string, at int) {
	if file == "" || r.env.ReadFile == nil {
		return // an error has been reported, or none can be
	}
	text, err := r.env.ReadFile(file)
	if err != nil {
		r.errorf(at, "WGConfig %s: %v: correct the path; a relative one starts at the folder in which wgd runs", quote.Path(file), err)
		return
	}
	defer clear(text)
	inner := &reader{env: r.env, path: file, config: r.config}
	entries := inner.scan(text)
	for i, e := range entries {
		if e.form == header && serviceSections[fold(e.name)] != nil {
			inner.warnf(i+1, "[%s] is ignored, because WGConfig names this file: move it to %s", e.name, quote.Path(r.path))
		}
	}
	inner.own(text, entries)
	r.config.Included = file
	r.problems = append(r.problems, inner.problems...)
}

// own decodes [Interface] and [Peer] of a file of wireproxy. It writes their lines anew
// as wg-quick has them, and the others as empty lines.
func (r *reader) own(text []byte, entries []entry) {
	var converted bytes.Buffer
	defer func() { clear(converted.Bytes()) }()
	section, found := "", map[string]bool{}
	lines := bytes.SplitAfter(bytes.TrimPrefix(text, byteOrderMark), []byte("\n"))
	for i, e := range entries {
		if e.form == header {
			section = fold(e.name)
			found[section] = true
		}
		if section == interfaceSection || section == peerSection {
			converted.WriteString(r.convert(section, e, i+1, lines[i]))
		}
		converted.WriteByte('\n')
	}
	for _, needed := range []string{interfaceSection, peerSection} {
		if !found[needed] {
			r.errorf(0, "there is no section [%s], and no WGConfig = FILE that names a file with it", title(needed))
		}
	}
	if !found[interfaceSection] {
		return
	}
	r.checkInterval()
	env := r.env
	env.Unrestricted = true
	inner := &reader{env: env, path: r.path, config: r.config}
	inner.tunnel(converted.Bytes())
	r.problems = append(r.problems, inner.problems...)
}

// convert returns a line of [Interface] or [Peer] in the form of wg-quick, without its
// end; "" if wg-quick has no such line.
func (r *reader) convert(section string, e entry, at int, raw []byte) string {
	switch e.form {
	case header:
		return "[" + e.name + "]"
	case blank: // which may have the name of a peer
		if line := bytes.TrimSpace(raw); bytes.HasPrefix(line, []byte("#")) {
			return string(line)
		}
		return ""
	case malformed:
		return ""
	}
	known := knownKey(section, e.name)
	switch {
	case section == interfaceSection && checkKeys[fold(e.name)]:
		r.check(e, at)
		return ""
	case known == "":
		r.unknownKey(section, e, at)
		return ""
	case !expands(known):
		// Its value as it is: package wgconf knows where a command ends.
		_, rest, _ := scanKey(strings.TrimSpace(string(raw)))
		return known + " = " + strings.TrimSpace(rest)
	}
	value, ok := r.expand(e, at)
	switch {
	case !ok && known == "PublicKey" && r.env.CheckOnly:
		value = anyKey(at) // a peer without a key would be an error
	case !ok:
		return ""
	}
	return known + " = " + value
}

// anyKey returns a public key that no other line has.
func anyKey(at int) string {
	var k key.Public
	binary.BigEndian.PutUint64(k[1:], uint64(at))
	k[0] = 9
	return k.Base64()
}

// unknownKey warns about a key that no such section has. wireproxy ignores it.
func (r *reader) unknownKey(section string, e entry, at int) {
	for _, other := range []string{interfaceSection, peerSection} {
		if known := knownKey(other, e.name); known != "" && other != section {
			r.warnf(at, "%s is ignored: it belongs in the section [%s]", known, title(other))
			return
		}
	}
	r.warnf(at, "%s is ignored: there is no such key in this section%s", quote.Text(e.name), suggest(e.name, keysOf(section)))
}

// title writes the name of a section as files have it.
func title(section string) string { return strings.ToUpper(section[:1]) + section[1:] }

// keysOf are the keys of [Interface] or [Peer], without those that stand in comments.
func keysOf(section string) (names []string) {
	list := wgconf.PeerDirectives()
	if section == interfaceSection {
		list = wgconf.InterfaceDirectives()
		names = []string{"CheckAlive", "CheckAliveInterval"}
	}
	for _, d := range list {
		if !d.Comment {
			names = append(names, d.Name)
		}
	}
	return names
}

// knownKey returns the name of a key as package wgconf writes it, or "".
func knownKey(section, name string) string {
	for _, known := range keysOf(section) {
		if fold(known) == fold(name) {
			return known
		}
	}
	return ""
}

// expands reports whether $NAME as the value of a key means an environment variable.
// Commands for a shell, and paths of key files, have a $ of their own.
func expands(name string) bool {
	switch fold(name) {
	case "preup", "postup", "predown", "postdown", "privatekeyfile", "presharedkeyfile":
		return false
	}
	return true
}

// expand returns the value of an entry, in which $NAME is the value of an environment
// variable, and $$ stands for $.
func (r *reader) expand(e entry, at int) (value string, ok bool) {
	if e.cut {
		r.warnf(at, "%s: what follows the # or ; is a comment: if it belongs to the value, put the value between backquotes (`)", quote.Text(e.name))
	}
	name, isVariable := strings.CutPrefix(e.value, "$")
	switch {
	case !isVariable:
		return e.value, true
	case strings.HasPrefix(name, "$"):
		return name, true
	}
	if r.env.LookupEnv != nil {
		value, ok = r.env.LookupEnv(name)
	}
	value = strings.TrimSpace(value)
	switch {
	case !ok && r.env.CheckOnly:
		r.warnf(at, "%s: the environment variable %s is not set here", quote.Text(e.name), quote.Text(name))
	case !ok:
		r.errorf(at, "%s: the environment variable %s is not set: set it", quote.Text(e.name), quote.Text(name))
	case strings.ContainsAny(value, "\n\x00"):
		r.errorf(at, "%s: the environment variable %s has several lines: a value has one", quote.Text(e.name), quote.Text(name))
		return "", false
	}
	return value, ok
}
