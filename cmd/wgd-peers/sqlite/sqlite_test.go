package sqlite

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// open opens the store in a file, and makes it if there is none.
func open(t *testing.T, path string) *File {
	t.Helper()
	s, err := Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*File)
}

// newFile returns an empty store.
func newFile(t *testing.T) *File { return open(t, filepath.Join(t.TempDir(), "peers.db")) }

// foreign returns a connection as another program has it: without foreign keys.
func foreign(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// A store in a file does what every store must do.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return newFile(t) })
}

// A peer that is deleted leaves no rows.
func TestDeletedRows(t *testing.T) {
	f := newFile(t)
	storetest.Add(t, f, storetest.Numbered(0), storetest.Numbered(1))
	if err := f.Delete(t.Context(), storetest.Numbered(0).PublicKey); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"peers": 1, "allowed_ips": 2, "seen": 1} {
		var n int
		if err := f.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d rows, %v, want %d", table, n, err, want)
		}
	}
}

// Free addresses follow those of the latest peer, and begin again at the first one.
func TestFreeAddressesFollow(t *testing.T) {
	f := newFile(t)
	site := storetest.Numbered(100)
	site.AllowedIPs = storetest.Prefixes("10.0.0.4/30")
	storetest.Add(t, f, site)
	for i, want := range []string{"10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.1", "10.0.0.2"} {
		p := storetest.Numbered(i)
		p.AllowedIPs = nil
		if err := f.Add(t.Context(), p, storetest.Prefixes("10.0.0.0/28")); err != nil || p.AllowedIPs[0].Addr().String() != want {
			t.Errorf("address %d is %v, %v, want %s", i, p.AllowedIPs, err, want)
		}
	}
}

// Peers are read in the order in which they were added.
func TestOrder(t *testing.T) {
	f := newFile(t)
	i := 0
	storetest.Add(t, f, storetest.Numbered(0), storetest.Numbered(1), storetest.Numbered(2))
	for p, err := range f.All(t.Context()) {
		if err != nil || p.Name != storetest.Numbered(i).Name {
			t.Errorf("peer %d is %v, %v", i, p, err)
		}
		i++
	}
}

// Files that are no stores of this version are refused with a sentence.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	make := func(name, query string) string {
		path := filepath.Join(dir, name)
		if _, err := foreign(t, path).Exec(query); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	open(t, newer)
	if _, err := foreign(t, newer).Exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newer:                                  "schema 2, and this program knows schema 1 at most: use a newer wgd-peers",
		make("other.db", "CREATE TABLE t (x)"): "belongs to another program",
		text:                                   "this is no SQLite file",
		dir:                                    "this is no file",
	} {
		if s, err := Open(t.Context(), path, true); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want %q", path, s, err, want)
		}
	}
	none := filepath.Join(dir, "none.db")
	if _, err := Open(t.Context(), none, false); err == nil || !strings.Contains(err.Error(), "there is no store") {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a store was made although none was wanted")
	}
}

// A new store and its folder can be read by their owner only, whatever is in its path.
func TestNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "a b?c=%20#&d.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0))
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", name, info, err, want)
		}
	}
}

// Every connection has the settings that SQLite's own lack.
func TestSettings(t *testing.T) {
	f := newFile(t)
	var hold []*sql.Conn
	for range readers {
		c, err := f.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		hold = append(hold, c)
	}
	c, err := f.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, c := range append(hold, c) {
		for pragma, want := range map[string]string{"foreign_keys": "1", "busy_timeout": "30000", "journal_mode": "wal"} {
			var got string
			if err := c.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v, want %s", pragma, got, err, want)
			}
		}
	}
}

// A store that was made before the ceiling was thought of gets its table when it is opened.
func TestLaterTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	for range 2 {
		s, err := Open(t.Context(), path, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RaiseCeiling(t.Context(), time.Unix(1, 0), time.Unix(2, 0)); err != nil {
			t.Error(err)
		}
		if _, err := s.(*File).write.ExecContext(t.Context(), "DROP TABLE stamp_ceiling"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
