// Package sqlite is a store of peers in one SQLite file. Its schema, in schema.sql, is
// documented: anybody who speaks SQL may write there at the same time.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
)

//go:embed schema.sql
var schema string

const (
	schemaVersion = 1
	applicationID = 0x77676470 // "wgdp": what file(1) and this program know a store by

	busyTimeout = 30 * time.Second // how long a writer waits for another one
	readers     = 4                // connections that only read, at most
	importCache = 128 << 20        // bytes of pages that an import may hold in memory
)

// A File is a store in a file.
type File struct {
	read  *sql.DB // connections that only read
	write *sql.DB // one connection
}

// Open opens the store in a file. If create is true, it makes a store, and the folder, if
// there is none.
func Open(ctx context.Context, path string, create bool) (store.Store, error) {
	if err := prepare(path, create); err != nil {
		return nil, fmt.Errorf("%s: %w", quote.Path(path), err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &File{read: connect(absolute, "_query_only=1"), write: connect(absolute, "_txlock=immediate")}
	f.read.SetMaxOpenConns(readers)
	f.write.SetMaxOpenConns(1)
	if err := f.initialize(ctx, create); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", quote.Path(path), explain(err)), f.Close())
	}
	return f, nil
}

// prepare makes the file with its mode before SQLite does, or reports that there is none.
func prepare(path string, create bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular():
		return nil
	case err == nil:
		return errors.New("this is no file: give the file of a store")
	case !errors.Is(err, fs.ErrNotExist):
		return plain(err)
	case !create:
		return errors.New("there is no store: wgd-peers add and wgd-peers import make one; or name another with --store")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return plain(err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return plain(err)
	}
	return file.Close()
}

// plain removes the name of the file from an error.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// connect returns connections that all have the same settings. SQLite's own are without
// foreign keys, and do not wait for others.
func connect(path, more string) *sql.DB {
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: fmt.Sprintf(
		"_busy_timeout=%d&_foreign_keys=1&_synchronous=FULL&_dqs=0&%s", busyTimeout.Milliseconds(), more)}
	connector, err := driver.NewConnector(name.String())
	if err != nil {
		panic("sqlite: " + err.Error()) // the parameters above are constant
	}
	return sql.OpenDB(connector)
}

// initialize makes the schema in a new file, and refuses a file that has another one.
func (f *File) initialize(ctx context.Context, create bool) error {
	fresh, err := f.version(ctx, f.write)
	if err != nil {
		return err
	}
	if !fresh {
		if create {
			_, later, _ := strings.Cut(schema, "\n-- Added later:")
			_, err = f.write.ExecContext(ctx, "--"+later)
		}
		return err
	}
	if !create {
		return errors.New("the file is empty, and no store: wgd-peers add and wgd-peers import make one")
	}
	if err := f.enableWAL(ctx); err != nil {
		return err
	}
	return f.transaction(ctx, func(tx *sql.Tx) error {
		if fresh, err := f.version(ctx, tx); err != nil || !fresh { // another process was first
			return err
		}
		_, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion))
		return err
	})
}

// enableWAL turns on the write-ahead log, which the file remembers: readers and a writer do
// not wait for each other. SQLite does not wait here for another program that writes
// (findings/sqlite-wal-does-not-wait.sh).
func (f *File) enableWAL(ctx context.Context) error {
	for deadline := time.Now().Add(busyTimeout); ; time.Sleep(10 * time.Millisecond) {
		_, err := f.write.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if code(err) != lib.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
	}
}

// A querier is a connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version reports whether the file is new, or returns why it is not one of our stores.
func (f *File) version(ctx context.Context, q querier) (fresh bool, err error) {
	var application, version, tables int
	err = q.QueryRowContext(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)").
		Scan(&application, &version, &tables)
	switch {
	case err != nil:
		return false, err
	case application == 0 && version == 0 && tables == 0:
		return true, nil
	case application != applicationID:
		return false, errors.New("this SQLite file belongs to another program: give the file of a store with --store")
	case version > schemaVersion:
		return false, fmt.Errorf("this store has schema %d, and this program knows schema %d at most: use a newer wgd-peers", version, schemaVersion)
	case version < schemaVersion:
		return false, fmt.Errorf("this store has schema %d, which never was one: restore a backup", version)
	}
	return false, nil
}

// Close closes all connections.
func (f *File) Close() error { return errors.Join(f.read.Close(), f.write.Close()) }

// transaction calls do in a transaction that writes, and commits it if do returns no error.
func (f *File) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := f.write.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the error of do is the reason
		return explain(err)
	}
	return explain(tx.Commit())
}

// code returns the primary error code of SQLite, or 0.
func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain adds what to do to errors of SQLite. It leaves what it has explained as it is.
func explain(err error) error {
	switch code(err) {
	case lib.SQLITE_BUSY:
		return fmt.Errorf("another program has been writing for %v: try again when it is done: %v", busyTimeout, err)
	case lib.SQLITE_NOTADB:
		return errors.New("this is no SQLite file: give the file of a store with --store")
	case lib.SQLITE_CORRUPT:
		return fmt.Errorf("the file is damaged: restore a backup: %v", err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return fmt.Errorf("the file or its folder cannot be written: correct the permissions, or use sudo: %v", err)
	case lib.SQLITE_FULL, lib.SQLITE_IOERR:
		return fmt.Errorf("the disk is full or faulty; nothing was changed: %v", err)
	}
	return err
}
