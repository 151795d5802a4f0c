package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"

	lib "modernc.org/sqlite/lib"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
	"wgd/key"
)

// Add adds a peer, with free addresses of the networks.
func (f *File) Add(ctx context.Context, p *store.Peer, networks []netip.Prefix) error {
	return f.transaction(ctx, func(tx *sql.Tx) error {
		for _, network := range networks {
			address, err := freeAddress(ctx, tx, network)
			if err != nil {
				return err
			}
			p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(address, address.BitLen()))
		}
		w, err := newWriter(ctx, tx)
		if err != nil {
			return err
		}
		defer w.close()
		return w.add(ctx, p)
	})
}

// Update changes a peer.
func (f *File) Update(ctx context.Context, public key.Public, change func(*store.Peer) error) error {
	return f.transaction(ctx, func(tx *sql.Tx) error {
		id, p, err := one(ctx, tx, "WHERE p.public_key = ?", public.Base64())
		if err != nil {
			return err
		}
		before := slices.Clone(p.AllowedIPs)
		if err := change(p); err != nil {
			return err
		}
		w, err := newWriter(ctx, tx)
		if err != nil {
			return err
		}
		defer w.close()
		if err := w.replace(ctx, id, p); err != nil || slices.Equal(p.AllowedIPs, before) {
			return err
		}
		return w.replacePrefixes(ctx, id, p)
	})
}

// Delete removes a peer. Triggers remove what belongs to it.
func (f *File) Delete(ctx context.Context, public key.Public) error {
	return f.transaction(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM peers WHERE public_key = ?", public.Base64())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, store.ErrNotFound)
		}
		return nil
	})
}

// Import adds all peers in one transaction.
func (f *File) Import(ctx context.Context, peers iter.Seq2[*store.Peer, error], replace bool, skipped func(*store.Peer, error)) (added, replaced int, err error) {
	// With few pages in memory, SQLite writes each page to the log again and again.
	if _, err := f.write.ExecContext(ctx, fmt.Sprintf("PRAGMA cache_size = -%d", importCache>>10)); err != nil {
		return 0, 0, explain(err)
	}
	defer f.write.ExecContext(context.WithoutCancel(ctx), "PRAGMA cache_size = -2000; PRAGMA shrink_memory; PRAGMA wal_checkpoint(PASSIVE)")
	err = f.transaction(ctx, func(tx *sql.Tx) error {
		w, err := newWriter(ctx, tx)
		if err != nil {
			return err
		}
		defer w.close()
		for p, err := range peers {
			if err != nil {
				return err
			}
			existed, err := w.put(ctx, p, replace)
			var refusal store.Refusal
			switch {
			case errors.As(err, &refusal):
				skipped(p, refusal)
			case err != nil:
				return err
			case existed:
				replaced++
			default:
				added++
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	return added, replaced, nil
}

// Record writes what was seen of peers: of all, or of none.
func (f *File) Record(ctx context.Context, sightings []store.Sighting) (written int, err error) {
	err = f.transaction(ctx, func(tx *sql.Tx) error {
		w, err := newWriter(ctx, tx)
		if err != nil {
			return err
		}
		defer w.close()
		for i := range sightings {
			s := &sightings[i]
			var id int64
			err := w.byKey.QueryRowContext(ctx, s.PublicKey.Base64()).Scan(&id)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			seen := store.Seen{Endpoint: s.Endpoint, At: s.At, Stamp: s.Stamp, RxBytes: s.RxBytes, TxBytes: s.TxBytes}
			if err := w.addSeen(ctx, id, &seen); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(sightings), nil
}

// SetGateway stores what clients must know about the gateways.
func (f *File) SetGateway(ctx context.Context, g *store.Gateway) error {
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return f.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO gateway (id, value) VALUES (1, ?) ON CONFLICT DO UPDATE SET value = excluded.value", string(text))
		return err
	})
}

// A writer has the statements of a transaction that writes peers.
type writer struct {
	byKey, byPrefix, insert, update, insertPrefix, deletePrefixes, seen *sql.Stmt

	tx  *sql.Tx
	all []*sql.Stmt
}

func newWriter(ctx context.Context, tx *sql.Tx) (*writer, error) {
	w := &writer{tx: tx}
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&w.byKey, "SELECT id FROM peers WHERE public_key = ?"},
		{&w.byPrefix, "SELECT peer FROM allowed_ips WHERE prefix = ?"},
		{&w.insert, "INSERT INTO peers (public_key, name, preshared_key, endpoint, persistent_keepalive, revoked, created) VALUES (?, ?, ?, ?, ?, ?, ?)"},
		{&w.update, "UPDATE peers SET public_key = ?, name = ?, preshared_key = ?, endpoint = ?, persistent_keepalive = ?, revoked = ? WHERE id = ?"},
		{&w.insertPrefix, "INSERT INTO allowed_ips (prefix, peer) VALUES (?, ?)"},
		{&w.deletePrefixes, "DELETE FROM allowed_ips WHERE peer = ?"},
		{&w.seen, `INSERT INTO seen (peer, endpoint, at, stamp, rx_bytes, tx_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
			endpoint = CASE WHEN ?2 IS NOT NULL AND (endpoint IS NULL OR ?3 >= at) THEN ?2 ELSE endpoint END, at = max(at, ?3),
			stamp = max(coalesce(stamp, ?4), coalesce(?4, stamp)),
			rx_bytes = min(rx_bytes, 9223372036854775807 - ?5) + ?5, tx_bytes = min(tx_bytes, 9223372036854775807 - ?6) + ?6`},
	} {
		statement, err := tx.PrepareContext(ctx, s.query)
		if err != nil {
			w.close()
			return nil, err
		}
		*s.to = statement
		w.all = append(w.all, statement)
	}
	return w, nil
}

func (w *writer) close() {
	for _, s := range w.all {
		_ = s.Close()
	}
}

// put adds a peer, or replaces it.
func (w *writer) put(ctx context.Context, p *store.Peer, replace bool) (existed bool, err error) {
	var id int64
	err = w.byKey.QueryRowContext(ctx, p.PublicKey.Base64()).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, w.add(ctx, p)
	case err != nil:
		return false, err
	case !replace:
		return false, store.Refusef("peer %s: the store has this public key already", quote.Name(p.Label()))
	}
	if err := w.replace(ctx, id, p); err != nil {
		return true, err
	}
	if err := w.replacePrefixes(ctx, id, p); err != nil {
		return true, err
	}
	return true, w.setSeen(ctx, id, &p.Seen)
}

// add adds a peer, with what was seen of it.
func (w *writer) add(ctx context.Context, p *store.Peer) error {
	if err := w.check(ctx, 0, p); err != nil {
		return err
	}
	created := p.Created
	if created.IsZero() {
		created = time.Now()
	}
	result, err := w.insert.ExecContext(ctx, append(w.columns(p), created.Unix())...)
	if err != nil {
		return w.refusal(ctx, 0, p, err)
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	if err := w.addPrefixes(ctx, id, p); err != nil {
		return err
	}
	return w.addSeen(ctx, id, &p.Seen)
}

// replace replaces what is configured of the peer with an id, except for its allowed IPs.
func (w *writer) replace(ctx context.Context, id int64, p *store.Peer) error {
	if err := w.check(ctx, id, p); err != nil {
		return err
	}
	if _, err := w.update.ExecContext(ctx, append(w.columns(p), id)...); err != nil {
		return w.refusal(ctx, id, p, err)
	}
	return nil
}

func (w *writer) replacePrefixes(ctx context.Context, id int64, p *store.Peer) error {
	if _, err := w.deletePrefixes.ExecContext(ctx, id); err != nil {
		return err
	}
	return w.addPrefixes(ctx, id, p)
}

// check returns a Refusal if the peer is wrong, or another peer has one of its allowed IPs.
// Nobody else writes during the transaction.
func (w *writer) check(ctx context.Context, id int64, p *store.Peer) error {
	if err := p.Check(); err != nil {
		return err
	}
	for _, prefix := range p.AllowedIPs {
		var owner int64
		err := w.byPrefix.QueryRowContext(ctx, prefix.String()).Scan(&owner)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && owner == id:
		case err != nil:
			return err
		default:
			if err := w.release(ctx, owner, p, prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

// release returns a Refusal if the owner of a prefix exists. If a program has replaced it
// without triggers (INSERT OR REPLACE), release removes what it has left.
func (w *writer) release(ctx context.Context, owner int64, p *store.Peer, prefix netip.Prefix) error {
	_, other, err := one(ctx, w.tx, "WHERE p.id = ?", owner)
	switch {
	case err == nil:
		return store.Refusef("peer %s: allowed IP %s: peer %s has it: give one that is free", p.Label(), prefix, other.Label())
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	_, err = w.deletePrefixes.ExecContext(ctx, owner)
	return err
}

// refusal turns the violation of a constraint into a Refusal. id is 0 for a new peer.
func (w *writer) refusal(ctx context.Context, id int64, p *store.Peer, err error) error {
	if code(err) != lib.SQLITE_CONSTRAINT {
		return err
	}
	if other, holder, notFound := one(ctx, w.tx, "WHERE p.public_key = ?", p.PublicKey.Base64()); notFound == nil && other != id {
		return store.Refusef("peer %s: the store has this public key already, as peer %s: change that peer with wgd-peers set", p.Label(), holder.Label())
	}
	if p.Name != "" {
		if _, _, notFound := one(ctx, w.tx, "WHERE p.name = ?", p.Name); notFound == nil {
			return store.Refusef("peer %s: the store has another peer with this name: choose another name", p.Name)
		}
	}
	return store.Refusef("peer %s: %s", p.Label(), quote.Text(err.Error()))
}

// columns are the values of the columns of table peers that can be configured.
func (w *writer) columns(p *store.Peer) []any {
	values := []any{p.PublicKey.Base64(), null(p.Name), nil, null(p.Endpoint), int64(p.PersistentKeepalive), nil}
	if !p.PresharedKey.IsZero() {
		values[2] = p.PresharedKey.Base64()
	}
	if !p.Revoked.IsZero() {
		values[5] = p.Revoked.Unix()
	}
	return values
}

// null makes an empty text NULL.
func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (w *writer) addPrefixes(ctx context.Context, id int64, p *store.Peer) error {
	for _, prefix := range p.AllowedIPs {
		if _, err := w.insertPrefix.ExecContext(ctx, prefix.String(), id); err != nil {
			return err
		}
	}
	return nil
}

// setSeen replaces the byte counts of a peer, if anything was seen of it, and adds the rest.
func (w *writer) setSeen(ctx context.Context, id int64, seen *store.Seen) error {
	if *seen == (store.Seen{}) {
		return nil
	}
	if _, err := w.tx.ExecContext(ctx, "UPDATE seen SET rx_bytes = 0, tx_bytes = 0 WHERE peer = ?", id); err != nil {
		return err
	}
	return w.addSeen(ctx, id, seen)
}

// addSeen adds what was seen of a peer to what the store has.
func (w *writer) addSeen(ctx context.Context, id int64, seen *store.Seen) error {
	if *seen == (store.Seen{}) {
		return nil
	}
	var endpoint any
	if seen.Endpoint.IsValid() {
		endpoint = netip.AddrPortFrom(seen.Endpoint.Addr().Unmap(), seen.Endpoint.Port()).String()
	}
	var at int64
	if !seen.At.IsZero() {
		at = seen.At.Unix()
	}
	_, err := w.seen.ExecContext(ctx, id, endpoint, at, formatStamp(seen.Stamp), bytes(seen.RxBytes), bytes(seen.TxBytes))
	return err
}

// bytes returns a count as SQLite can store it.
func bytes(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// recent is how many of the latest peers freeAddress looks at.
const recent = 100

// freeAddress returns an address of a network that no peer has: the first one after those
// of the peers that were added last, or else the first one of the network.
func freeAddress(ctx context.Context, tx *sql.Tx, network netip.Prefix) (netip.Addr, error) {
	network = network.Masked()
	g, err := gateway(ctx, tx)
	if err != nil {
		return netip.Addr{}, err
	}
	begin := network.Addr()
	if begin.BitLen()-network.Bits() > 1 { // with two addresses or one, each is a host's
		begin = begin.Next()
	}
	after, err := latestAddress(ctx, tx, network)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, from := range []netip.Addr{after.Next(), begin} {
		for a := from; a.IsValid() && network.Contains(a); a = a.Next() {
			_, taken, err := longest(ctx, tx, a)
			switch {
			case err == nil && (taken.Bits() > network.Bits() || taken.IsSingleIP()):
				a = last(taken)
				continue
			case err != nil && !errors.Is(err, store.ErrNotFound):
				return netip.Addr{}, err
			case slices.ContainsFunc(g.Addresses, func(p netip.Prefix) bool { return p.Addr() == a }):
				continue
			case a.Is4() && network.Bits() < 31 && a == last(network): // of broadcasts
				continue
			}
			return a, nil
		}
	}
	return netip.Addr{}, store.Refusef("network %s: all addresses are taken: give another network, or delete peers", network)
}

// latestAddress returns the address in the network of the latest peer that has one there,
// if it is one of the recent ones.
func latestAddress(ctx context.Context, tx *sql.Tx, network netip.Prefix) (latest netip.Addr, err error) {
	_, peers, err := many(ctx, tx, "ORDER BY p.id DESC LIMIT ?", recent)
	if err != nil {
		return latest, err
	}
	for _, p := range peers {
		for _, a := range p.AllowedIPs {
			if network.Contains(a.Addr()) && a.Bits() > network.Bits() {
				return last(a), nil
			}
		}
	}
	return latest, nil
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
