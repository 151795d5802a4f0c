package uapi

import (
	"bufio"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"wgd/conf"
	"wgd/key"
)

// out writes lines. bufio.Writer keeps its first error, so lines are written
// without looking, and whoever flushes learns of it.
type out struct {
	*bufio.Writer
	scratch []byte
}

func (o *out) text(name, value string) {
	o.WriteString(name)
	o.WriteByte('=')
	o.WriteString(value)
	o.WriteByte('\n')
}

func (o *out) number(name string, n uint64) {
	o.scratch = strconv.AppendUint(o.scratch[:0], n, 10)
	o.bytes(name, o.scratch)
}

// secret writes a key of which no string is made, since a string cannot be
// zeroed. It zeroes the digits that it appends to scratch.
func (o *out) secret(name string, appendHex func(dst []byte) []byte) {
	o.scratch = appendHex(o.scratch[:0])
	o.bytes(name, o.scratch)
	clear(o.scratch)
}

// public writes a public key.
func (o *out) public(name string, k *key.Public) {
	o.scratch = hex.AppendEncode(o.scratch[:0], k[:])
	o.bytes(name, o.scratch)
}

func (o *out) bytes(name string, value []byte) {
	o.WriteString(name)
	o.WriteByte('=')
	o.Write(value)
	o.WriteByte('\n')
}

// allowedIP writes a prefix as wg reads it: inet_pton knows no zone, and a mapped
// address in its dotted form.
func (o *out) allowedIP(name string, a conf.AllowedIPChange) {
	o.scratch = o.scratch[:0]
	if a.Remove {
		o.scratch = append(o.scratch, '-')
	}
	o.scratch = a.Prefix.AppendTo(o.scratch)
	o.bytes(name, o.scratch)
}

// address writes an endpoint.
func (o *out) address(name string, a netip.AddrPort) {
	o.scratch = a.AppendTo(o.scratch[:0])
	o.bytes(name, o.scratch)
}

// end hands everything over, and zeroes the writer's buffer: keys were in it.
func (o *out) end() error {
	err := o.Flush()
	buf := o.AvailableBuffer()
	clear(buf[:cap(buf)])
	return err
}

// counted writes what and how often.
func (o *out) counted(name, what string, count uint64) {
	o.text(name, sentence(what)+":"+strconv.FormatUint(count, 10))
}

// optional writes a number if there is one.
func optional[T uint16 | uint32](o *out, name string, n *T) {
	if n != nil {
		o.number(name, uint64(*n))
	}
}

func (o *out) flag(name string, set bool) {
	if set {
		o.text(name, "true")
	}
}

// sentence is a value that a person reads: it must stay within its line.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	const maxLen = MaxLine / 4
	if len(s) > maxLen {
		s = strings.ToValidUTF8(s[:maxLen], "") + "…"
	}
	return s
}

// WriteStatus answers get=1, line by line: no copy of the whole is made, and
// the work is one step per prefix (B60).
func WriteStatus(w *bufio.Writer, s *conf.Status) error {
	o := &out{Writer: w}
	for i := range interfaceRows {
		if r := &interfaceRows[i]; r.answer != nil {
			r.answer(o, r.name, s)
		}
	}
	for i := range s.Peers {
		for j := range peerRows {
			if r := &peerRows[j]; r.answer != nil {
				r.answer(o, r.name, &s.Peers[i])
			}
		}
	}
	o.WriteString("errno=0\n\n")
	return o.end()
}

// WriteResult answers set=1, or a request that was refused (errno > 0).
func WriteResult(w *bufio.Writer, errno int, reason string) error {
	w.WriteString("errno=")
	w.WriteString(strconv.Itoa(-errno))
	w.WriteByte('\n')
	if reason != "" {
		w.WriteString("error=" + sentence(reason) + "\n")
	}
	w.WriteByte('\n')
	return w.Flush()
}

// WriteGet asks for the state.
func WriteGet(w *bufio.Writer) error {
	w.WriteString("get=1\n\n")
	return w.Flush()
}

// WriteChange asks for a Change.
func WriteChange(w *bufio.Writer, c *conf.Change) error {
	o := &out{Writer: w}
	o.text("set", "1")
	for i := range interfaceRows {
		if r := &interfaceRows[i]; r.encode != nil {
			r.encode(o, r.name, c)
		}
	}
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Remove { // whatever else it says is ignored
			p = &conf.PeerChange{PublicKey: p.PublicKey, Remove: true}
		}
		for j := range peerRows {
			if r := &peerRows[j]; r.encode != nil {
				r.encode(o, r.name, p)
			}
		}
	}
	o.WriteByte('\n')
	return o.end()
}
