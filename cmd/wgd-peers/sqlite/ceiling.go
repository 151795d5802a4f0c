package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// RaiseCeiling returns the ceiling. It writes only if the ceiling is to rise.
func (f *File) RaiseCeiling(ctx context.Context, needed, to time.Time) (ceiling time.Time, err error) {
	read := func(q querier) (err error) {
		var at int64
		err = q.QueryRowContext(ctx, "SELECT at FROM stamp_ceiling").Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ceiling = seconds(at)
		return err
	}
	if err := read(f.read); err != nil || !ceiling.Before(needed) {
		return ceiling, explain(err)
	}
	err = f.transaction(ctx, func(tx *sql.Tx) error {
		if err := read(tx); err != nil || !ceiling.Before(needed) { // another process was first
			return err
		}
		ceiling = time.Unix(to.Unix(), 0)
		_, err := tx.ExecContext(ctx, "INSERT INTO stamp_ceiling (id, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at", ceiling.Unix())
		return err
	})
	return ceiling, err
}
