package wgconf

import (
	"bytes"
	"fmt"
	"net/netip"

	"wgd/internal/quote"
	"wgd/key"
)

// Env is what Decode needs in addition to the text.
type Env struct {
	// ReadKey reads a key file. If it is nil, none is read, and the keys stay unset.
	ReadKey func(path string) (KeyFile, error)
	// Dir is the folder to which relative paths of key files refer.
	Dir string
	// Credentials is $CREDENTIALS_DIRECTORY, which systemd sets for a service.
	Credentials string
	// CheckOnly turns the error that a credential cannot be read because Credentials
	// is empty into a warning.
	CheckOnly bool
	// Unrestricted gives a peer without a line AllowedIPs all addresses, as wireproxy
	// does. wg and wg-quick give it none.
	Unrestricted bool
}

// Decode returns the meaning of the text. If the problems include an error, the File is
// nil; otherwise it and its Change are valid.
func (d *Document) Decode(env Env) (*File, Problems) {
	dec := &decoder{env: env, file: &File{}, peers: map[key.Public]*peerLines{}, owners: map[netip.Prefix]int{}, given: map[string]int{}}
	dec.sections(d)
	dec.check()
	dec.problems.sort()
	if dec.problems.HasErrors() {
		dec.file.erase()
		return nil, dec.problems
	}
	return dec.file, dec.problems
}

// decoder is a Decode in progress.
type decoder struct {
	env      Env
	file     *File
	problems Problems
	peers    map[key.Public]*peerLines
	owners   map[netip.Prefix]int // of the prefixes that peers have so far: the index in File.Peers
	given    map[string]int       // the last line of each directive of [Interface]
}

// peerLines are the line numbers of one peer.
type peerLines struct {
	index  int            // in File.Peers
	header int            // of its last section
	given  map[string]int // the last line of each of its directives
}

// value is the value of a directive.
type value struct {
	name string
	text string
	line int
}

func (dec *decoder) sections(d *Document) {
	number := 1
	for _, s := range d.sections {
		switch s.kind {
		case preamble:
			dec.strangers(s, number, "a directive before the first section: begin with a line [Interface]")
		case interfaceSection:
			dec.rows(s, number, func(l *line, at int) bool {
				return decodeRow(dec, interfaceRows, l, at, &dec.file.Interface, dec.given)
			})
		case peerSection:
			dec.peer(s, number)
		case unknownSection:
			dec.problems.errorf(number, "%s is no section: the sections are [Interface] and [Peer]", quote.Text(string(s.lines[0].key)))
			dec.strangers(s, number, "")
		}
		number += len(s.lines)
	}
}

// nulByte says that a line has one.
const nulByte = "a NUL byte: this is no text file, or it is damaged"

// strangers checks the lines of a section that has no directives. Only the first
// one is an error, and none if the header was one.
func (dec *decoder) strangers(s *section, number int, what string) {
	for i, l := range s.lines {
		if what != "" && (l.form == setting || l.form == malformed) {
			switch {
			case i == 0 && bytes.HasPrefix(l.raw, []byte("\xef\xbb\xbf")):
				what = "the file begins with a byte-order mark: save it as UTF-8 without one"
			case i == 0 && (bytes.HasPrefix(l.raw, []byte("\xff\xfe")) || bytes.HasPrefix(l.raw, []byte("\xfe\xff"))):
				what = "the file is in UTF-16: save it as UTF-8 without a byte-order mark"
			case bytes.IndexByte(l.raw, 0) >= 0:
				what = nulByte
			}
			dec.problems.errorf(number+i, "%s", what)
			return
		}
	}
}

// rows decodes the lines of a section. take reports whether the section has that
// directive.
func (dec *decoder) rows(s *section, number int, take func(l *line, at int) bool) {
	for i, l := range s.lines {
		at := number + i
		switch {
		case l.form != comment && bytes.IndexByte(l.raw, 0) >= 0:
			dec.problems.errorf(at, nulByte)
		case l.form == malformed:
			dec.problems.errorf(at, "no equals sign: write a directive as KEY = VALUE, or begin a comment with #")
		case l.directive() && !take(l, at):
			dec.unknown(l, at, s.kind)
		}
	}
}

func (dec *decoder) peer(s *section, number int) {
	lines := s.find("PublicKey")
	if len(lines) == 0 {
		dec.problems.errorf(number, "[Peer] without a PublicKey: a peer is identified by its public key")
	}
	var public key.Public
	good := false
	if len(lines) > 0 { // as for wg, the last one counts
		var err error
		public, err = key.ParsePublic(string(squeeze(lines[len(lines)-1].value)))
		good = err == nil
	}
	p, at := new(Peer), &peerLines{given: map[string]int{}}
	if known := dec.peers[public]; known != nil && good {
		dec.problems.warnf(number, "the peer of line %d again: directives given here replace those given there, and AllowedIPs are always replaced", known.header)
		p, at = &dec.file.Peers[known.index], known
		delete(at.given, "AllowedIPs")
		delete(at.given, "ExcludedIPs")
	} else if good {
		dec.file.Peers = append(dec.file.Peers, Peer{PublicKey: public})
		at.index = len(dec.file.Peers) - 1
		dec.peers[public] = at
		p = &dec.file.Peers[at.index]
	}
	// As with wg, the later section decides about all allowed IPs.
	for _, prefix := range p.Allowed() {
		delete(dec.owners, prefix)
	}
	p.AllowedIPs, p.ExcludedIPs, p.lost, at.header = nil, nil, nil, number
	here := map[string]int{}
	dec.rows(s, number, func(l *line, at int) bool { return decodeRow(dec, peerRows, l, at, p, here) })
	if _, written := here["AllowedIPs"]; !written && dec.env.Unrestricted {
		p.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
		here["AllowedIPs"] = number
	}
	for name, line := range here {
		at.given[name] = line
	}
	dec.both(here, "PresharedKey", "PresharedKeyFile")
	if good {
		dec.own(at)
	}
}

// own assigns a peer the prefixes of its section, and removes them from other peers.
// As with wg, those do not get them back if a later section of this peer does not have
// them any more.
func (dec *decoder) own(at *peerLines) {
	for _, prefix := range dec.file.Peers[at.index].Allowed() {
		if i, taken := dec.owners[prefix]; taken && i != at.index {
			loser := &dec.file.Peers[i]
			if loser.lost == nil {
				loser.lost = map[netip.Prefix]bool{}
			}
			loser.lost[prefix] = true
			dec.problems.warnf(at.given["AllowedIPs"], "AllowedIPs %s: the peer of line %d has the same: the last one, which is this one, gets it",
				prefix, dec.peers[loser.PublicKey].header)
		}
		dec.owners[prefix] = at.index
	}
}

// decodeRow decodes one line by the rows of its section, and reports whether there is
// a row for it.
func decodeRow[T any](dec *decoder, rows []row[T], l *line, at int, t *T, given map[string]int) bool {
	r := lookup(rows, l)
	if r == nil {
		return false
	}
	text := string(l.value)
	if r.origin != FromWgQuick && r.style == plain && !isPath(r.name) {
		text = string(squeeze(l.value))
	}
	v := value{r.name, text, at}
	if first, twice := given[r.name]; twice && !r.many {
		dec.problems.warnf(at, "%s is also on line %d: this one counts", r.name, first)
	}
	given[r.name] = at
	if text == "" && r.origin != FromWgQuick {
		dec.problems.add(Problem{Line: at, Warning: r.style == remark, Text: r.name + " has no value: give " + r.value + ", or remove the line"})
		return true
	}
	r.decode(dec, v, t)
	return true
}

// both reports a key that is given in two ways.
func (dec *decoder) both(given map[string]int, name, file string) {
	a, here := given[name]
	b, there := given[file]
	if here && there {
		dec.problems.errorf(max(a, b), "both %s (line %d) and %s (line %d): keep one of them", name, a, file, b)
	}
}

// wrong reports an error in text, which is the value or an element of it, and quotes
// it.
func (dec *decoder) wrong(v value, text, format string, args ...any) {
	dec.problems.errorf(v.line, "%s %s: %s", v.name, quoteIn(v.text, text), fmt.Sprintf(format, args...))
}

func (f *File) erase() {
	if k := f.Interface.PrivateKey; k != nil {
		k.Erase()
	}
	for i := range f.Peers {
		f.Peers[i].PresharedKey.Erase()
	}
}
