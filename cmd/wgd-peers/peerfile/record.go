package peerfile

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
	"wgd/internal/wire"
	"wgd/key"
)

// A Record is a peer in JSON. Later versions may add fields, but change none.
type Record struct {
	Name                *string        `json:"name"`
	PublicKey           string         `json:"public_key"`
	HasPresharedKey     bool           `json:"has_preshared_key"`
	PresharedKey        *string        `json:"preshared_key,omitempty"`
	AllowedIPs          []netip.Prefix `json:"allowed_ips"`
	Endpoint            *string        `json:"endpoint"`
	PersistentKeepalive uint16         `json:"persistent_keepalive"`
	Revoked             *int64         `json:"revoked"`
	Created             int64          `json:"created"`
	Changed             int64          `json:"changed"`
	LastEndpoint        *string        `json:"last_endpoint"`
	LastSeen            *int64         `json:"last_seen"`
	Stamp               *string        `json:"stamp"`
	RxBytes             uint64         `json:"rx_bytes"`
	TxBytes             uint64         `json:"tx_bytes"`
	Problem             *string        `json:"problem"`
}

// RecordOf returns a peer as JSON has it, with its preshared key if secrets is true.
func RecordOf(p *store.Peer, secrets bool) Record {
	r := Record{
		Name:                nullIfEmpty(p.Name),
		PublicKey:           p.PublicKey.Base64(),
		HasPresharedKey:     !p.PresharedKey.IsZero(),
		AllowedIPs:          p.AllowedIPs,
		Endpoint:            nullIfEmpty(p.Endpoint),
		PersistentKeepalive: p.PersistentKeepalive,
		Revoked:             unix(p.Revoked),
		LastSeen:            unix(p.Seen.At),
		RxBytes:             p.Seen.RxBytes,
		TxBytes:             p.Seen.TxBytes,
		Problem:             nullIfEmpty(p.Problem),
	}
	if r.AllowedIPs == nil {
		r.AllowedIPs = []netip.Prefix{}
	}
	if secrets && r.HasPresharedKey {
		r.PresharedKey = nullIfEmpty(p.PresharedKey.Base64())
	}
	if created := unix(p.Created); created != nil {
		r.Created = *created
	}
	if changed := unix(p.Changed); changed != nil {
		r.Changed = *changed
	}
	if p.Seen.Endpoint.IsValid() {
		r.LastEndpoint = nullIfEmpty(p.Seen.Endpoint.String())
	}
	if !p.Seen.Stamp.IsZero() {
		r.Stamp = nullIfEmpty(hex.EncodeToString(p.Seen.Stamp[:]))
	}
	return r
}

func nullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func unix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.Unix()
	return &n
}

func fromUnix(n *int64) time.Time {
	if n == nil || *n == 0 {
		return time.Time{}
	}
	return time.Unix(*n, 0)
}

// peer returns the peer of a record. An error does not repeat what may be a secret.
func (r *Record) peer() (p *store.Peer, err error) {
	p = &store.Peer{
		Name:                orEmpty(r.Name),
		AllowedIPs:          r.AllowedIPs,
		Endpoint:            orEmpty(r.Endpoint),
		PersistentKeepalive: r.PersistentKeepalive,
		Revoked:             fromUnix(r.Revoked),
		Created:             fromUnix(&r.Created),
		Seen:                store.Seen{At: fromUnix(r.LastSeen), RxBytes: r.RxBytes, TxBytes: r.TxBytes},
	}
	if p.PublicKey, err = key.ParsePublic(r.PublicKey); err != nil {
		return p, err
	}
	switch {
	case r.PresharedKey != nil:
		if p.PresharedKey, err = key.ParsePreshared(*r.PresharedKey); err != nil {
			return p, err
		}
	case r.HasPresharedKey:
		return p, fmt.Errorf("it has a preshared key, which is not in this file: import what wgd-peers export wrote")
	}
	if text := orEmpty(r.LastEndpoint); text != "" {
		if p.Seen.Endpoint, err = netip.ParseAddrPort(text); err != nil {
			return p, fmt.Errorf("last_endpoint %s: write ADDRESS:PORT", quote.Text(text))
		}
	}
	if text := orEmpty(r.Stamp); text != "" {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != wire.TAI64NSize {
			return p, fmt.Errorf("stamp %s: write %d hexadecimal digits", quote.Text(text), 2*wire.TAI64NSize)
		}
		p.Seen.Stamp = wire.TAI64N(b)
	}
	return p, nil
}

// label names a record in a message.
func (r *Record) label() string {
	if name := orEmpty(r.Name); name != "" {
		return quote.Name(name)
	}
	if public, err := key.ParsePublic(r.PublicKey); err == nil {
		return public.Hex()[:8]
	}
	return "without a name"
}

// prefixList parses prefixes between commas, semicolons or white space. An address without a
// length stands for itself.
func prefixList(text string) (list []netip.Prefix, err error) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) }) {
		if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("allowed_ips %s: write ADDRESS/LENGTH", quote.Text(word))
		}
		list = append(list, p)
	}
	return list, nil
}
