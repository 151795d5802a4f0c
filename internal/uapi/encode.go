package uapi

import (
	"bufio"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"wgd/conf"
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

// hex writes a key. No string of it is made, which could not be erased; digits
// of ours are.
func (o *out) hex(name string, k [32]byte) {
	o.scratch = hex.AppendEncode(o.scratch[:0], k[:])
	o.bytes(name, o.scratch)
	clear(o.scratch)
}

func (o *out) bytes(name string, value []byte) {
	o.WriteString(name)
	o.WriteByte('=')
	o.Write(value)
	o.WriteByte('\n')
}

// prefix writes a prefix as wg reads it: inet_pton knows no zone, and a mapped
// address in its dotted form.
func (o *out) prefix(name string, p netip.Prefix) {
	o.scratch = p.AppendTo(o.scratch[:0])
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
	const most = MaxLine / 4
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// WriteStatus answers get=1, line by line: no copy of the whole is made, and
// the work is one step per prefix (B60).
func WriteStatus(w *bufio.Writer, s *conf.Status) error {
	o := &out{Writer: w}
	if !s.PrivateKey.IsZero() {
		o.hex("private_key", s.PrivateKey.Bytes())
	}
	if s.ListenPort != 0 {
		o.number("listen_port", uint64(s.ListenPort))
	}
	if s.FirewallMark != 0 {
		o.number("fwmark", uint64(s.FirewallMark))
	}
	o.interfaceExtras(s)
	for i := range s.Peers {
		o.peerStatus(&s.Peers[i])
	}
	o.WriteString("errno=0\n\n")
	return o.end()
}

// interfaceExtras are the lines that wg passes over.
func (o *out) interfaceExtras(s *conf.Status) {
	up := uint64(0)
	if s.Up {
		up = 1
	}
	o.number("up", up)
	o.number("mtu", uint64(max(s.MTU, 0)))
	if s.Fault != "" {
		o.text("fault", sentence(s.Fault))
	}
	if s.AEAD != "" {
		o.text("aead", sentence(s.AEAD))
	}
	for _, name := range conf.TunableNames() {
		if value, err := s.Tunables.Get(name); err == nil {
			o.text(name, value)
		}
	}
	for _, d := range s.Drops {
		o.text("drop", sentence(d.Reason)+":"+strconv.FormatUint(d.Count, 10))
	}
	for _, c := range s.Counters {
		o.text("counter", sentence(c.Name)+":"+strconv.FormatUint(c.Count, 10))
	}
}

func (o *out) peerStatus(p *conf.PeerStatus) {
	o.hex("public_key", p.PublicKey)
	if p.Name != "" {
		o.text("name", p.Name)
	}
	o.hex("preshared_key", p.PresharedKey.Bytes())
	o.text("protocol_version", "1")
	if p.Endpoint.IsValid() {
		o.address("endpoint", p.Endpoint)
	}
	var sec, nsec uint64
	if at := p.LastHandshake; !at.IsZero() && at.Unix() > 0 {
		sec, nsec = uint64(at.Unix()), uint64(at.Nanosecond())
	}
	o.number("last_handshake_time_sec", sec)
	o.number("last_handshake_time_nsec", nsec)
	o.number("tx_bytes", p.TxBytes)
	o.number("rx_bytes", p.RxBytes)
	o.number("persistent_keepalive_interval", uint64(p.PersistentKeepalive))
	for _, prefix := range p.AllowedIPs {
		o.prefix("allowed_ip", prefix)
	}
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
	if c.PrivateKey != nil {
		o.hex("private_key", c.PrivateKey.Bytes())
	}
	if c.ListenPort != nil {
		o.number("listen_port", uint64(*c.ListenPort))
	}
	if c.FirewallMark != nil {
		o.number("fwmark", uint64(*c.FirewallMark))
	}
	c.Tunables.Each(o.text)
	o.flag("replace_peers", c.ReplacePeers)
	for i := range c.Peers {
		o.peerChange(&c.Peers[i])
	}
	o.WriteByte('\n')
	return o.end()
}

func (o *out) peerChange(p *conf.PeerChange) {
	o.hex("public_key", p.PublicKey)
	if p.Remove {
		o.flag("remove", true)
		return
	}
	o.flag("update_only", p.UpdateOnly)
	if p.Name != nil {
		o.text("name", *p.Name)
	}
	if p.PresharedKey != nil {
		o.hex("preshared_key", p.PresharedKey.Bytes())
	}
	if p.Endpoint != nil {
		o.address("endpoint", *p.Endpoint)
	}
	if p.PersistentKeepalive != nil {
		o.number("persistent_keepalive_interval", uint64(*p.PersistentKeepalive))
	}
	o.flag("replace_allowed_ips", p.ReplaceAllowedIPs)
	for _, a := range p.AllowedIPs {
		o.scratch = o.scratch[:0]
		if a.Remove {
			o.scratch = append(o.scratch, '-')
		}
		o.scratch = a.Prefix.AppendTo(o.scratch)
		o.bytes("allowed_ip", o.scratch)
	}
}
