package etcd

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// A record is the value of a key below peers/. Times are seconds since 1970.
type record struct {
	Name                string   `json:"name,omitempty"`
	PresharedKey        string   `json:"preshared_key,omitempty"`
	AllowedIPs          []string `json:"allowed_ips,omitempty"`
	Endpoint            string   `json:"endpoint,omitempty"`
	PersistentKeepalive uint16   `json:"persistent_keepalive,omitempty"`
	Revoked             int64    `json:"revoked,omitempty"`
	Created             int64    `json:"created,omitempty"`
	Changed             int64    `json:"changed,omitempty"`

	// Of peers that were imported, until they are changed. The record is valid when the
	// import is complete; until then Before is.
	Import string      `json:"import,omitempty"`
	Before *record     `json:"before,omitempty"`
	Seen   *seenRecord `json:"seen,omitempty"` // what replaces the key below seen/ then
}

// A seenRecord is the value of a key below seen/.
type seenRecord struct {
	Endpoint string `json:"endpoint,omitempty"` // the last one, ADDRESS:PORT
	At       int64  `json:"at,omitempty"`       // when the peer was there
	Stamp    string `json:"stamp,omitempty"`    // the greatest received TAI64N, in hexadecimal
	RxBytes  uint64 `json:"rx_bytes,omitempty"`
	TxBytes  uint64 `json:"tx_bytes,omitempty"`
}

// encode returns a value for etcd.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("etcd: " + err.Error()) // a record has nothing that JSON lacks
	}
	return string(text)
}

// decode parses a value. Fields that it does not know belong to later versions.
func decode[T any](text []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(text, v); err != nil {
		return nil, err
	}
	return v, nil
}

// recordOf returns the record of a peer.
func recordOf(p *store.Peer) *record {
	r := &record{Name: p.Name, Endpoint: p.Endpoint, PersistentKeepalive: p.PersistentKeepalive,
		Revoked: unix(p.Revoked), Created: unix(p.Created), Changed: unix(p.Changed)}
	if !p.PresharedKey.IsZero() {
		r.PresharedKey = p.PresharedKey.Base64()
	}
	for _, prefix := range p.AllowedIPs {
		r.AllowedIPs = append(r.AllowedIPs, prefix.String())
	}
	return r
}

// seenOf returns the record of what was seen, or nil if nothing was.
func seenOf(s *store.Seen) *seenRecord {
	if *s == (store.Seen{}) {
		return nil
	}
	r := &seenRecord{At: unix(s.At), RxBytes: min(s.RxBytes, math.MaxInt64), TxBytes: min(s.TxBytes, math.MaxInt64)}
	if s.Endpoint.IsValid() {
		r.Endpoint = endpointText(s.Endpoint)
	}
	if !s.Stamp.IsZero() {
		r.Stamp = hex.EncodeToString(s.Stamp[:])
	}
	return r
}

// merge adds what was seen since: bytes add up, the greatest stamp stays, and the endpoint is
// the latest one. r may be nil.
func (r *seenRecord) merge(s *seenRecord) *seenRecord {
	if r == nil {
		r = new(seenRecord)
	}
	sum := *r
	if s.Endpoint != "" && (r.Endpoint == "" || s.At >= r.At) {
		sum.Endpoint = s.Endpoint
	}
	sum.At = max(r.At, s.At)
	sum.Stamp = max(r.Stamp, s.Stamp)
	sum.RxBytes = min(r.RxBytes, math.MaxInt64-s.RxBytes) + s.RxBytes
	sum.TxBytes = min(r.TxBytes, math.MaxInt64-s.TxBytes) + s.TxBytes
	return &sum
}

// peer returns the peer of a record. What is wrong with it becomes its Problem.
func (r *record) peer(public key.Public, seen *seenRecord, wrong *store.Problems) *store.Peer {
	p := &store.Peer{PublicKey: public, Name: r.Name, Endpoint: r.Endpoint, PersistentKeepalive: r.PersistentKeepalive,
		Revoked: fromUnix(r.Revoked), Created: fromUnix(r.Created), Changed: fromUnix(r.Changed)}
	var err error
	if r.PresharedKey != "" {
		p.PresharedKey, err = key.ParsePreshared(r.PresharedKey)
		wrong.Add(err)
	}
	p.AllowedIPs = wrong.Prefixes(r.AllowedIPs)
	if seen != nil {
		p.Seen = seen.seen(wrong)
	}
	wrong.Check(p)
	return p
}

// seen returns what was seen of a peer.
func (r *seenRecord) seen(wrong *store.Problems) store.Seen {
	s := store.Seen{At: fromUnix(r.At), RxBytes: r.RxBytes, TxBytes: r.TxBytes}
	var err error
	if r.Endpoint != "" {
		s.Endpoint, err = netip.ParseAddrPort(r.Endpoint)
		wrong.Add(err)
	}
	if r.Stamp != "" {
		s.Stamp = wrong.Stamp(r.Stamp)
	}
	return s
}

// errNotOurs is what is wrong with a value that is not written as wgd-peers does.
var errNotOurs = errors.New("it is no JSON object as docs/fleet.md describes it: correct it with etcdctl, or delete the peer and add it again")

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}
