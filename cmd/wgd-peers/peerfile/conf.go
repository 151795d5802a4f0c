package peerfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"strings"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wgconf"
)

// A section of a configuration file, as text.
type section struct {
	line int // of its header
	text []byte
}

func (s *section) isInterface() bool {
	header, _, _ := bytes.Cut(s.text, []byte("\n"))
	return strings.EqualFold(strings.Join(strings.Fields(string(header)), ""), "[interface]")
}

// maxSection is the maximum length of a section in bytes.
const maxSection = 1 << 20

// conf reads a configuration file. If it has [Interface] with a key and addresses, and one
// [Peer] with an endpoint, it is the file of a client, which is the peer that it becomes.
// Otherwise it is that of a gateway, and has a peer in each [Peer].
func (r *reader) conf() {
	next := r.sections()
	var first []section
	for len(first) < 3 {
		s, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.fail(0, err)
			return
		}
		first = append(first, s)
	}
	if len(first) == 0 {
		r.skip(0, "", "this is neither CSV, JSON nor a configuration file: the first line of CSV has the names of the columns, public_key among them")
		return
	}
	if len(first) == 2 && first[0].isInterface() && r.client(first) {
		return
	}
	for _, s := range first {
		if !r.section(s) {
			return
		}
	}
	for {
		s, err := next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.fail(0, err)
			return
		}
		if !r.section(s) {
			return
		}
	}
}

// sections returns a function that returns one section after the other, and then io.EOF.
func (r *reader) sections() func() (section, error) {
	var current section
	number, ended := 0, false
	return func() (section, error) {
		for !ended {
			line, err := readLine(r.in)
			ended = errors.Is(err, io.EOF)
			if err != nil && !ended {
				return section{}, err
			}
			number++
			if header := bytes.HasPrefix(bytes.TrimLeft(line, " \t\ufeff"), []byte("[")); header {
				done := current
				current = section{line: number, text: bytes.TrimLeft(line, " \t\ufeff")}
				if done.line > 0 {
					return done, nil
				}
				continue
			}
			if current.line > 0 {
				current.text = append(current.text, line...)
			}
			if len(current.text) > maxSection {
				return section{}, fmt.Errorf("line %d: a section is longer than %d bytes", number, maxSection)
			}
		}
		if done := current; done.line > 0 {
			current = section{}
			return done, nil
		}
		return section{}, io.EOF
	}
}

// readLine returns a line with its end, in memory of its own.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxSection {
			return line, err
		}
	}
}

// section passes on the peer of a section, or skips it. It reports whether to continue.
func (r *reader) section(s section) bool {
	defer clear(s.text)
	if s.isInterface() {
		return true // what it says is the gateway's own
	}
	document := wgconf.Parse(s.text)
	defer document.Erase()
	file, problems := document.Decode(wgconf.Env{CheckOnly: true})
	for _, p := range problems {
		if !p.Warning {
			r.skip(s.line+max(p.Line, 1)-1, "", p.Text)
			return true
		}
	}
	for i := range file.Peers {
		w := &file.Peers[i]
		p := &store.Peer{Name: w.Name, PublicKey: w.PublicKey, PresharedKey: w.PresharedKey, AllowedIPs: w.Allowed(), PersistentKeepalive: w.PersistentKeepalive}
		if w.PresharedKeyFile != "" {
			r.skip(s.line, p.Label(), "PresharedKeyFile: the store needs the key itself: write PresharedKey")
			continue
		}
		if w.Endpoint.Host != "" {
			p.Endpoint = w.Endpoint.String()
		}
		if !r.yield(p, nil) {
			return false
		}
	}
	return true
}

// client reads the file of a client. It reports whether this is one.
func (r *reader) client(sections []section) bool {
	text := append(bytes.Clone(sections[0].text), sections[1].text...)
	defer clear(text)
	document := wgconf.Parse(text)
	defer document.Erase()
	file, problems := document.Decode(wgconf.Env{CheckOnly: true})
	if file == nil {
		if bytes.Contains(bytes.ToLower(sections[1].text), []byte("endpoint")) {
			for _, p := range problems {
				if !p.Warning {
					r.skip(p.Line, "", p.Text)
					return true
				}
			}
		}
		return false
	}
	change := file.Change()
	defer change.Erase()
	i := &file.Interface
	if len(file.Peers) != 1 || file.Peers[0].Endpoint.Host == "" || len(i.Network.Addresses) == 0 || i.PrivateKey == nil && i.PrivateKeyFile == "" || i.ListenPort != nil {
		return false
	}
	name := strings.TrimSuffix(path.Base(r.name), ".conf")
	gateway := &file.Peers[0]
	switch {
	case i.PrivateKeyFile != "":
		r.skip(sections[0].line, name, "PrivateKeyFile: the public key is not known: write PrivateKey")
		return true
	case gateway.PresharedKeyFile != "":
		r.skip(sections[1].line, name, "PresharedKeyFile: the store needs the key itself: write PresharedKey")
		return true
	case conf.ValidName(name) != nil:
		r.skip(0, "", "the name of the file becomes that of the peer: rename it, with 1 to 63 letters, digits and ._@- before .conf")
		return true
	}
	p := &store.Peer{Name: name, PublicKey: i.PrivateKey.Public(), PresharedKey: gateway.PresharedKey.Clone()}
	for _, a := range i.Network.Addresses {
		p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
	}
	r.yield(p, nil)
	return true
}
