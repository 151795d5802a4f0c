package peerfile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// WriteJSON writes peers as a JSON list, with a line for each. Preshared keys are written
// only if secrets is true.
func WriteJSON(w io.Writer, peers iter.Seq2[*store.Peer, error], secrets bool) error {
	out := bufio.NewWriter(w)
	before := "["
	for p, err := range peers {
		if err != nil {
			return err
		}
		text, err := json.Marshal(RecordOf(p, secrets))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n%s", before, text)
		before = ","
	}
	if before == "[" {
		out.WriteString(before)
	}
	out.WriteString("\n]\n")
	return out.Flush()
}

// columns are those of a CSV file, in the order in which they are written.
var columns = []column{
	{"name", func(r *Record) string { return orEmpty(r.Name) }, func(r *Record, text string) error { r.Name = nullIfEmpty(text); return nil }},
	{"public_key", func(r *Record) string { return r.PublicKey }, func(r *Record, text string) error { r.PublicKey = text; return nil }},
	{"preshared_key", func(r *Record) string { return orEmpty(r.PresharedKey) }, func(r *Record, text string) error { r.PresharedKey = nullIfEmpty(text); return nil }},
	{"allowed_ips", func(r *Record) string { return joinPrefixes(r.AllowedIPs, " ") }, func(r *Record, text string) (err error) {
		r.AllowedIPs, err = prefixList(text)
		return err
	}},
	{"endpoint", func(r *Record) string { return orEmpty(r.Endpoint) }, func(r *Record, text string) error { r.Endpoint = nullIfEmpty(text); return nil }},
	{"persistent_keepalive", func(r *Record) string { return strconv.Itoa(int(r.PersistentKeepalive)) }, func(r *Record, text string) error {
		n, err := number(text, 16)
		r.PersistentKeepalive = uint16(n)
		return err
	}},
	{"revoked", func(r *Record) string { return time64(r.Revoked) }, func(r *Record, text string) error { return setTime(&r.Revoked, text) }},
	{"created", func(r *Record) string { return time64(&r.Created) }, func(r *Record, text string) error {
		n, err := number(text, 63)
		r.Created = int64(n)
		return err
	}},
	{"last_endpoint", func(r *Record) string { return orEmpty(r.LastEndpoint) }, func(r *Record, text string) error { r.LastEndpoint = nullIfEmpty(text); return nil }},
	{"last_seen", func(r *Record) string { return time64(r.LastSeen) }, func(r *Record, text string) error { return setTime(&r.LastSeen, text) }},
	{"stamp", func(r *Record) string { return orEmpty(r.Stamp) }, func(r *Record, text string) error { r.Stamp = nullIfEmpty(text); return nil }},
	{"rx_bytes", func(r *Record) string { return strconv.FormatUint(r.RxBytes, 10) }, func(r *Record, text string) (err error) {
		r.RxBytes, err = number(text, 64)
		return err
	}},
	{"tx_bytes", func(r *Record) string { return strconv.FormatUint(r.TxBytes, 10) }, func(r *Record, text string) (err error) {
		r.TxBytes, err = number(text, 64)
		return err
	}},
}

// A column is one of a CSV file.
type column struct {
	name string
	get  func(r *Record) string
	set  func(r *Record, text string) error
}

// Columns returns the names of the columns of a CSV file.
func Columns() (names []string) {
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// number parses a number of so many bits; "" is 0.
func number(text string, bits int) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("write a number up to %d", uint64(1)<<bits-1)
	}
	return n, nil
}

func time64(n *int64) string {
	if n == nil || *n == 0 {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func setTime(to **int64, text string) error {
	n, err := number(text, 63)
	if err == nil && n > 0 {
		seconds := int64(n)
		*to = &seconds
	}
	return err
}

// WriteCSV writes peers with all that a store holds about them. The first line has the names
// of the columns.
func WriteCSV(w io.Writer, peers iter.Seq2[*store.Peer, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(Columns()); err != nil {
		return err
	}
	row := make([]string, len(columns))
	for p, err := range peers {
		if err != nil {
			return err
		}
		r := RecordOf(p, true)
		for i, c := range columns {
			row[i] = c.get(&r)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteConf writes peers as sections of a configuration file. Those that are revoked, or
// cannot be used, are left out, and passed to leftOut.
func WriteConf(w io.Writer, peers iter.Seq2[*store.Peer, error], leftOut func(p *store.Peer, why string)) error {
	out := bufio.NewWriter(w)
	between := ""
	for p, err := range peers {
		switch {
		case err != nil:
			return err
		case p.Problem != "":
			leftOut(p, p.Problem)
			continue
		case !p.Revoked.IsZero():
			leftOut(p, "it is revoked")
			continue
		}
		out.WriteString(between + "[Peer]\n")
		between = "\n"
		writeDirective(out, "# Name", p.Name)
		writeDirective(out, "PublicKey", p.PublicKey.Base64())
		writePeer(out, p.PresharedKey, p.AllowedIPs, p.Endpoint, p.PersistentKeepalive)
	}
	return out.Flush()
}

// Client returns the configuration file of a peer that is a client of the gateway.
func Client(g *store.Gateway, p *store.Peer, private *key.Private) string {
	var b strings.Builder
	b.WriteString("[Interface]\n")
	writeDirective(&b, "PrivateKey", private.Base64())
	writeDirective(&b, "Address", joinPrefixes(p.AllowedIPs, ", "))
	writeDirective(&b, "DNS", strings.Join(g.DNS, ", "))
	b.WriteString("\n[Peer]\n")
	writeDirective(&b, "PublicKey", g.PublicKey.Base64())
	allowed := g.AllowedIPs
	if len(allowed) == 0 {
		allowed = g.Networks()
	}
	writePeer(&b, p.PresharedKey, allowed, g.Endpoint, g.Keepalive)
	return b.String()
}

// writePeer writes the directives of a [Peer] after its public key.
func writePeer(w io.Writer, preshared key.Preshared, allowed []netip.Prefix, endpoint string, keepalive uint16) {
	if !preshared.IsZero() {
		writeDirective(w, "PresharedKey", preshared.Base64())
	}
	writeDirective(w, "AllowedIPs", joinPrefixes(allowed, ", "))
	writeDirective(w, "Endpoint", endpoint)
	if keepalive != 0 {
		writeDirective(w, "PersistentKeepalive", strconv.Itoa(int(keepalive)))
	}
}

// writeDirective writes one line, unless the value is empty.
func writeDirective(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%s = %s\n", name, value)
	}
}

func joinPrefixes(list []netip.Prefix, between string) string {
	var texts []string
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, between)
}
