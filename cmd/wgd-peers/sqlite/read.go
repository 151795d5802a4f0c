package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

// selectPeers selects all that scan needs.
const selectPeers = `SELECT p.id, p.public_key, p.name, p.preshared_key, p.endpoint, p.persistent_keepalive, p.revoked, p.created, p.changed,
	(SELECT group_concat(prefix) FROM allowed_ips WHERE peer = p.id),
	s.endpoint, s.at, s.stamp, s.rx_bytes, s.tx_bytes
	FROM peers p LEFT JOIN seen s ON s.peer = p.id `

// page is how many peers All reads in one query.
const page = 1000

// ByKey returns the peer with a public key.
func (f *File) ByKey(ctx context.Context, public key.Public) (*store.Peer, error) {
	_, p, err := one(ctx, f.read, "WHERE p.public_key = ?", public.Base64())
	return p, err
}

// ByName returns the peer with a name.
func (f *File) ByName(ctx context.Context, name string) (*store.Peer, error) {
	_, p, err := one(ctx, f.read, "WHERE p.name = ?", name)
	return p, err
}

// ByAddress returns the peer whose allowed IPs have the longest prefix of the address.
func (f *File) ByAddress(ctx context.Context, address netip.Addr) (*store.Peer, error) {
	id, _, err := longest(ctx, f.read, address)
	if err != nil {
		return nil, err
	}
	_, p, err := one(ctx, f.read, "WHERE p.id = ?", id)
	return p, err
}

// ByEndpoint returns the peer that was seen last at an endpoint, or is configured to be
// there.
func (f *File) ByEndpoint(ctx context.Context, endpoint netip.AddrPort) (*store.Peer, error) {
	text := netip.AddrPortFrom(endpoint.Addr().Unmap(), endpoint.Port()).String()
	_, p, err := one(ctx, f.read, "WHERE s.endpoint = ? ORDER BY s.at DESC LIMIT 1", text)
	if errors.Is(err, store.ErrNotFound) {
		_, p, err = one(ctx, f.read, "WHERE p.endpoint = ? ORDER BY p.id LIMIT 1", text)
	}
	return p, err
}

// All returns all peers, in the order of their ids.
func (f *File) All(ctx context.Context) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		last := int64(-1 << 63)
		for {
			ids, peers, err := many(ctx, f.read, "WHERE p.id > ? ORDER BY p.id LIMIT ?", last, page)
			if err != nil {
				yield(nil, err)
				return
			}
			for i, p := range peers {
				last = ids[i]
				if !yield(p, nil) {
					return
				}
			}
			if len(peers) < page {
				return
			}
		}
	}
}

// Gateway returns what clients must know about the gateways.
func (f *File) Gateway(ctx context.Context) (*store.Gateway, error) {
	return gateway(ctx, f.read)
}

func gateway(ctx context.Context, q querier) (*store.Gateway, error) {
	var text string
	g := new(store.Gateway)
	switch err := q.QueryRowContext(ctx, "SELECT value FROM gateway").Scan(&text); {
	case errors.Is(err, sql.ErrNoRows):
		return g, nil
	case err != nil:
		return nil, explain(err)
	}
	if err := json.Unmarshal([]byte(text), g); err != nil {
		return nil, fmt.Errorf("the table gateway has no such object as wgd-peers gateway writes: %w", err)
	}
	return g, nil
}

// A lister is a connection or a transaction.
type lister interface {
	querier
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// longest returns the id of the peer that has the longest prefix of an address, and the
// prefix.
func longest(ctx context.Context, q lister, address netip.Addr) (id int64, prefix netip.Prefix, err error) {
	rows, err := q.QueryContext(ctx, "SELECT length FROM prefix_lengths WHERE ipv6 = ?", address.Is6())
	if err != nil {
		return 0, netip.Prefix{}, explain(err)
	}
	var candidates []any
	for rows.Next() {
		var length int
		if err := rows.Scan(&length); err != nil {
			break // Err returns it
		}
		if p, err := address.WithZone("").Prefix(length); err == nil {
			candidates = append(candidates, p.String())
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, netip.Prefix{}, explain(err)
	}
	if len(candidates) == 0 {
		return 0, netip.Prefix{}, store.ErrNotFound
	}
	var text string
	err = q.QueryRowContext(ctx, "SELECT prefix, peer FROM allowed_ips WHERE prefix IN (?"+strings.Repeat(",?", len(candidates)-1)+
		") AND EXISTS (SELECT 1 FROM peers WHERE id = allowed_ips.peer) ORDER BY CAST(substr(prefix, instr(prefix, '/') + 1) AS INTEGER) DESC LIMIT 1", candidates...).Scan(&text, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, netip.Prefix{}, store.ErrNotFound
	}
	if err == nil {
		prefix, err = netip.ParsePrefix(text)
	}
	return id, prefix, explain(err)
}

// one returns the peer that a condition selects, and its id.
func one(ctx context.Context, q lister, where string, args ...any) (int64, *store.Peer, error) {
	ids, peers, err := many(ctx, q, where, args...)
	switch {
	case err != nil:
		return 0, nil, err
	case len(peers) == 0:
		return 0, nil, store.ErrNotFound
	}
	return ids[0], peers[0], nil
}

// many returns the peers that a condition selects, and their ids.
func many(ctx context.Context, q lister, where string, args ...any) (ids []int64, peers []*store.Peer, err error) {
	rows, err := q.QueryContext(ctx, selectPeers+where, args...)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		id, p, err := scan(rows)
		if err != nil {
			return nil, nil, explain(err)
		}
		ids, peers = append(ids, id), append(peers, p)
	}
	return ids, peers, explain(rows.Err())
}

// scan reads one peer. What is wrong with it becomes its Problem.
func scan(rows *sql.Rows) (id int64, p *store.Peer, err error) {
	p = new(store.Peer)
	var public, created, changed, keepalive any
	var name, prefixes, endpoint, seenEndpoint, stamp sql.NullString
	var preshared []byte
	var revoked, at, rx, tx sql.NullInt64
	defer func() { clear(preshared) }()
	err = rows.Scan(&id, &public, &name, &preshared, &endpoint, &keepalive, &revoked, &created, &changed,
		&prefixes, &seenEndpoint, &at, &stamp, &rx, &tx)
	if err != nil {
		return 0, nil, err
	}
	var problems store.Problems
	text, _ := public.(string)
	p.PublicKey, err = key.ParsePublic(text)
	problems.Add(err)
	if len(preshared) > 0 {
		p.PresharedKey, err = key.ParsePreshared(string(preshared))
		problems.Add(err)
	}
	p.Name, p.Endpoint = name.String, endpoint.String
	if prefixes.String != "" {
		p.AllowedIPs = problems.Prefixes(strings.Split(prefixes.String, ","))
	}
	p.PersistentKeepalive = uint16(integer(keepalive))
	p.Created, p.Changed = seconds(integer(created)), seconds(integer(changed))
	if revoked.Valid {
		p.Revoked = time.Unix(revoked.Int64, 0)
	}
	p.Seen = store.Seen{At: seconds(at.Int64), RxBytes: uint64(rx.Int64), TxBytes: uint64(tx.Int64)}
	if seenEndpoint.Valid {
		p.Seen.Endpoint, err = netip.ParseAddrPort(seenEndpoint.String)
		problems.Add(err)
	}
	if stamp.Valid {
		p.Seen.Stamp = problems.Stamp(stamp.String)
	}
	problems.Check(p)
	return id, p, nil
}

func integer(value any) int64 {
	n, _ := value.(int64)
	return n
}

// seconds returns the time that is so many seconds after 1970; 0 is the zero time.
func seconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// formatStamp returns a stamp as the table seen has it; NULL for none.
func formatStamp(stamp wire.TAI64N) any {
	if stamp.IsZero() {
		return nil
	}
	return hex.EncodeToString(stamp[:])
}
