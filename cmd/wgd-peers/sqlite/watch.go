package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// watchInterval is how often Watch looks whether the file has changed: one read of shared
// memory.
const watchInterval = 100 * time.Millisecond

// Revision returns the revision of the latest change.
func (f *File) Revision(ctx context.Context) (store.Revision, error) {
	return revision(ctx, f.read)
}

// revision reads it from where SQLite keeps it: the change itself may be trimmed.
func revision(ctx context.Context, q querier) (r store.Revision, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)").Scan(&r)
	return r, explain(err)
}

// Watch returns the changes after a revision as they happen.
func (f *File) Watch(ctx context.Context, since store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		err := f.watch(ctx, since, func(c store.Changes) bool { return yield(c, nil) })
		if err != nil && ctx.Err() == nil {
			yield(store.Changes{}, explain(err))
		}
	}
}

// watch has a connection of its own, because data_version counts the changes of all others.
func (f *File) watch(ctx context.Context, since store.Revision, report func(store.Changes) bool) error {
	connection, err := f.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for before := int64(-1); ; {
		var version int64
		if err := connection.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return err
		}
		if version != before {
			before = version
			changes, err := changesSince(ctx, connection, since)
			if err != nil {
				return err
			}
			if changes.Revision != since && !report(changes) {
				return nil
			}
			since = changes.Revision
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// changesSince returns the changes after a revision. It reads them in one transaction.
func changesSince(ctx context.Context, connection *sql.Conn, since store.Revision) (changes store.Changes, err error) {
	tx, err := connection.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return changes, err
	}
	defer tx.Rollback()
	if changes.Revision, err = revision(ctx, tx); err != nil || changes.Revision == since {
		return changes, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT revision, public_key FROM changes WHERE revision > ? ORDER BY revision", since)
	if err != nil {
		return changes, err
	}
	defer rows.Close()
	known := map[key.Public]bool{}
	for first := true; rows.Next(); first = false {
		var number store.Revision
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return changes, err
		}
		if first && number != since+1 {
			changes.Lost = true
			break
		}
		public, err := key.ParsePublic(text)
		if err != nil {
			return changes, fmt.Errorf("revision %d: %w", number, err)
		}
		if !known[public] {
			known[public] = true
			changes.Keys = append(changes.Keys, public)
		}
	}
	// A store that was restored from a backup is before what its readers know.
	changes.Lost = changes.Lost || changes.Revision < since || len(changes.Keys) == 0
	return changes, rows.Err()
}
