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

// An out writes lines. bufio.Writer keeps its first error, so only end checks for
// errors.
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

// bit writes 0 or 1.
func (o *out) bit(name string, on bool) {
	n := uint64(0)
	if on {
		n = 1
	}
	o.number(name, n)
}

// secret writes a secret key without a string, which could not be zeroed. It
// zeroes the digits in scratch.
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

// allowedIP writes a prefix in a form that wg, which uses inet_pton, can read: it
// has no zone, and a mapped address is in dotted form.
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

// end flushes the writer and zeroes its buffer, because keys were in it.
func (o *out) end() error {
	err := o.Flush()
	buf := o.AvailableBuffer()
	clear(buf[:cap(buf)])
	return err
}

// counted writes a name and a count.
func (o *out) counted(name, what string, count uint64) {
	o.text(name, sentence(what)+":"+strconv.FormatUint(count, 10))
}

// optional writes a number if n is not nil.
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

// sentence makes a text for users fit into one line, without control characters.
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

// WriteStatus answers get=1. It writes line by line, without a copy of the whole
// answer, and its work is proportional to the number of prefixes (B60).
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

// WriteResult answers set=1 (errno 0), or a request that was refused (errno > 0).
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

// WriteGet requests the state.
func WriteGet(w *bufio.Writer) error {
	w.WriteString("get=1\n\n")
	return w.Flush()
}

// WriteReload requests that the daemon reads its file again.
func WriteReload(w *bufio.Writer) error {
	w.WriteString("reload=1\n\n")
	return w.Flush()
}

// WriteConnect requests a connection to HOST:PORT through the tunnel.
func WriteConnect(w *bufio.Writer, target string) error {
	w.WriteString("connect=" + sentence(target) + "\n\n")
	return w.Flush()
}

// WriteChange requests a Change.
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
		if p.Remove { // the daemon would ignore the other fields
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
