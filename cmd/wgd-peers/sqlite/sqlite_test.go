package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
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

func add(t *testing.T, f *File, peers ...*store.Peer) {
	t.Helper()
	for _, p := range peers {
		if err := f.Add(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Every field of a peer comes back as it was stored.
func TestFields(t *testing.T) {
	f := newFile(t)
	p := numbered(1)
	p.Endpoint, p.PersistentKeepalive, p.Revoked, p.Created = "vpn.example.org:51820", 25, time.Unix(1700000001, 0), time.Unix(1700000000, 0)
	p.Seen.RxBytes, p.Seen.TxBytes = 1<<40, 7
	add(t, f, p)
	got, err := f.ByKey(t.Context(), p.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if !got.PresharedKey.Equal(p.PresharedKey) {
		t.Error("the preshared key is another one")
	}
	if !slices.Equal(got.AllowedIPs, p.AllowedIPs) {
		t.Errorf("allowed IPs %v, want %v", got.AllowedIPs, p.AllowedIPs)
	}
	if got.Name != p.Name || got.Endpoint != p.Endpoint || got.PersistentKeepalive != 25 || !got.Revoked.Equal(p.Revoked) || !got.Created.Equal(p.Created) || got.Problem != "" {
		t.Errorf("got %+v, want %+v", got, p)
	}
	if got.Seen != p.Seen {
		t.Errorf("seen %+v, want %+v", got.Seen, p.Seen)
	}
}

// The longest prefix of an address decides, in both families.
func TestByAddress(t *testing.T) {
	f := newFile(t)
	for i, texts := range [][]string{{"0.0.0.0/0", "::/0"}, {"10.0.0.0/8", "fd00::/8"}, {"10.1.2.0/24"}, {"10.1.2.3/32", "fd00::3/128"}} {
		p := numbered(i)
		p.AllowedIPs = prefixes(texts...)
		add(t, f, p)
	}
	for address, want := range map[string]string{
		"192.0.2.1": "peer0", "10.9.9.9": "peer1", "10.1.2.4": "peer2", "10.1.2.3": "peer3",
		"2001:db8::1": "peer0", "fd00::4": "peer1", "fd00::3": "peer3",
	} {
		if p, err := f.ByAddress(t.Context(), netip.MustParseAddr(address)); err != nil || p.Name != want {
			t.Errorf("%s: %v, %v, want %s", address, p, err, want)
		}
	}
	empty := newFile(t)
	if _, err := empty.ByAddress(t.Context(), netip.MustParseAddr("10.1.2.3")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in an empty store: %v", err)
	}
}

// Of several peers that were at an endpoint, the last one is there. Without any, it is the
// one that is configured to be there.
func TestByEndpoint(t *testing.T) {
	f := newFile(t)
	at := netip.MustParseAddrPort("192.0.2.1:7")
	older, newer, configured := numbered(0), numbered(1), numbered(2)
	older.Seen, newer.Seen, configured.Seen = store.Seen{Endpoint: at, At: time.Unix(100, 0)}, store.Seen{Endpoint: at, At: time.Unix(200, 0)}, store.Seen{}
	configured.Endpoint = "[::ffff:192.0.2.9]:9"
	add(t, f, newer, older, configured)
	for endpoint, want := range map[string]string{"192.0.2.1:7": "peer1", "[::ffff:192.0.2.1]:7": "peer1", "192.0.2.9:9": "peer2"} {
		if p, err := f.ByEndpoint(t.Context(), netip.MustParseAddrPort(endpoint)); err != nil || p.Name != want {
			t.Errorf("%s: %v, %v, want %s", endpoint, p, err, want)
		}
	}
	if _, err := f.ByEndpoint(t.Context(), netip.MustParseAddrPort("192.0.2.1:8")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another port: %v", err)
	}
}

// What belongs to another peer is refused by its name, and nothing changes then.
func TestRefusals(t *testing.T) {
	f := newFile(t)
	add(t, f, numbered(0), numbered(1))
	for name, c := range map[string]struct {
		change func(p *store.Peer)
		want   string
	}{
		"a key":          {func(p *store.Peer) { p.PublicKey = numbered(1).PublicKey }, "public key already, as peer peer1"},
		"a name":         {func(p *store.Peer) { p.Name = "peer1" }, "peer peer1: the store has another peer with this name"},
		"an allowed IP":  {func(p *store.Peer) { p.AllowedIPs = prefixes("10.9.0.0/16", "10.0.0.1/32") }, "allowed IP 10.0.0.1/32: peer peer1 has it"},
		"a low order":    {func(p *store.Peer) { p.PublicKey = key.Public{1} }, "no handshake can succeed"},
		"a wrong name":   {func(p *store.Peer) { p.Name = "a b" }, "is not allowed in a name"},
		"wrong endpoint": {func(p *store.Peer) { p.Endpoint = "host" }, "no port"},
	} {
		p := numbered(9)
		c.change(p)
		var refusal store.Refusal
		if err := f.Add(t.Context(), p, nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("add, %s of another: %v, want %q", name, err, c.want)
		}
		err := f.Update(t.Context(), numbered(0).PublicKey, func(p *store.Peer) error { c.change(p); return nil })
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("update, %s of another: %v, want %q", name, err, c.want)
		}
	}
	for i := range 2 {
		p, err := f.ByName(t.Context(), numbered(i).Name)
		if err != nil || p.PublicKey != numbered(i).PublicKey || !slices.Equal(p.AllowedIPs, numbered(i).AllowedIPs) {
			t.Errorf("peer %d is %+v, %v", i, p, err)
		}
	}
}

// An update replaces what is configured, keeps what was seen, and frees what it removes.
func TestUpdate(t *testing.T) {
	f := newFile(t)
	add(t, f, numbered(0))
	err := f.Update(t.Context(), numbered(0).PublicKey, func(p *store.Peer) error {
		p.Name, p.AllowedIPs, p.PresharedKey = "other", prefixes("10.7.0.0/16"), key.Preshared{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.ByName(t.Context(), "other")
	if err != nil || !p.PresharedKey.IsZero() || !slices.Equal(p.AllowedIPs, prefixes("10.7.0.0/16")) || p.Seen != numbered(0).Seen {
		t.Errorf("got %+v, %v", p, err)
	}
	stranger := numbered(5)
	stranger.AllowedIPs = numbered(0).AllowedIPs
	add(t, f, stranger)
	if err := f.Update(t.Context(), numbered(7).PublicKey, func(*store.Peer) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a peer that does not exist: %v", err)
	}
}

// A peer that is deleted leaves nothing.
func TestDelete(t *testing.T) {
	f := newFile(t)
	add(t, f, numbered(0), numbered(1))
	if err := f.Delete(t.Context(), numbered(0).PublicKey); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(t.Context(), numbered(0).PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	for table, want := range map[string]int{"peers": 1, "allowed_ips": 2, "seen": 1} {
		var n int
		if err := f.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d rows, %v, want %d", table, n, err, want)
		}
	}
	add(t, f, numbered(0))
}

// Free addresses follow those of the latest peer, and begin again at the first one. They are
// neither the gateway's, nor of the network or of broadcasts, nor in a prefix of a peer.
func TestFreeAddresses(t *testing.T) {
	f := newFile(t)
	if err := f.SetGateway(t.Context(), &store.Gateway{Addresses: prefixes("10.0.0.1/28")}); err != nil {
		t.Fatal(err)
	}
	site, all := numbered(100), numbered(101)
	site.AllowedIPs, all.AllowedIPs = prefixes("10.0.0.4/30"), prefixes("0.0.0.0/0", "10.0.0.0/28")
	add(t, f, site, all)
	network := prefixes("10.0.0.0/28")
	take := func(n int) string {
		p := numbered(n)
		p.AllowedIPs = nil
		if err := f.Add(t.Context(), p, network); err != nil {
			return err.Error()
		}
		return p.AllowedIPs[0].Addr().String()
	}
	for i, want := range []string{"10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.2", "10.0.0.3"} {
		if got := take(i); got != want {
			t.Errorf("address %d is %s, want %s", i, got, want)
		}
	}
	if got := take(50); !strings.Contains(got, "10.0.0.0/28: all addresses are taken") {
		t.Errorf("in a full network: %s", got)
	}
	if err := f.Delete(t.Context(), numbered(4).PublicKey); err != nil {
		t.Fatal(err)
	}
	if got := take(51); got != "10.0.0.12" {
		t.Errorf("the address of a peer that was deleted: %s", got)
	}
	pair := numbered(60)
	pair.AllowedIPs = nil
	if err := f.Add(t.Context(), pair, prefixes("10.8.0.0/31", "fd00::/64")); err != nil || !slices.Equal(pair.AllowedIPs, prefixes("10.8.0.0/32", "fd00::1/128")) {
		t.Errorf("of a network of two addresses, and of IPv6: %v, %v", pair.AllowedIPs, err)
	}
}

// What gateways report is added: bytes add up, the greatest stamp stays, the endpoint is the
// latest one; strangers are ignored.
func TestRecord(t *testing.T) {
	f := newFile(t)
	p := numbered(0)
	p.Seen = store.Seen{}
	add(t, f, p)
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, s := range []store.Sighting{
		{Endpoint: endpointOf(1), At: late, Stamp: wire.StampAt(late), RxBytes: 1, TxBytes: 2},
		{Endpoint: endpointOf(2), At: early, Stamp: wire.StampAt(early), RxBytes: 10, TxBytes: 20},
		{At: late, RxBytes: 1 << 63},
		{At: late, RxBytes: 1 << 63},
	} {
		s.PublicKey = p.PublicKey
		if err := f.Record(t.Context(), []store.Sighting{{PublicKey: numbered(9).PublicKey, RxBytes: 5}, s}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.ByKey(t.Context(), p.PublicKey)
	want := store.Seen{Endpoint: endpointOf(1), At: late, Stamp: wire.StampAt(late), RxBytes: 1<<63 - 1, TxBytes: 22}
	if err != nil || got.Seen != want {
		t.Errorf("seen %+v, %v, want %+v", got.Seen, err, want)
	}
}

// An import adds what it can, says what it skips, and replaces only if that is wanted.
func TestImport(t *testing.T) {
	f := newFile(t)
	add(t, f, numbered(0))
	list := func(peers ...*store.Peer) func(yield func(*store.Peer, error) bool) {
		return func(yield func(*store.Peer, error) bool) {
			for _, p := range peers {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
	same, taken, other := numbered(0), numbered(1), numbered(2)
	same.PersistentKeepalive, same.Seen.RxBytes = 9, 77
	taken.AllowedIPs = numbered(0).AllowedIPs
	var refused []string
	skipped := func(p *store.Peer, err error) { refused = append(refused, err.Error()) }
	added, replaced, err := f.Import(t.Context(), list(same, taken, other), false, skipped)
	if added != 1 || replaced != 0 || err != nil || len(refused) != 2 || !strings.Contains(refused[1], "peer peer1: allowed IP 10.0.0.0/32: peer peer0 has it") {
		t.Errorf("%d added, %d replaced, %v; refused: %q", added, replaced, err, refused)
	}
	refused = nil
	added, replaced, err = f.Import(t.Context(), list(same, other), true, skipped)
	if added != 0 || replaced != 2 || err != nil || len(refused) != 0 {
		t.Errorf("%d added, %d replaced, %v; refused: %q", added, replaced, err, refused)
	}
	if p, err := f.ByKey(t.Context(), same.PublicKey); err != nil || p.PersistentKeepalive != 9 || p.Seen.RxBytes != 77 {
		t.Errorf("the replaced peer is %+v, %v", p, err)
	}
	broken := errors.New("the file ends here")
	_, _, err = f.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		_ = yield(numbered(5), nil) && yield(nil, broken)
	}, true, skipped)
	if _, notFound := f.ByKey(t.Context(), numbered(5).PublicKey); !errors.Is(err, broken) || !errors.Is(notFound, store.ErrNotFound) {
		t.Errorf("after an error: %v; the peer before it: %v", err, notFound)
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
	add(t, f, numbered(0))
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
