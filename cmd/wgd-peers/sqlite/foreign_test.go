package sqlite

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
	"wgd/key"
)

// A program that writes SQL, without foreign keys, gets errors for what cannot be.
func TestConstraints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0), storetest.Numbered(1))
	db := foreign(t, path)
	good := storetest.Numbered(2).PublicKey.Base64()
	for query, want := range map[string]string{
		"INSERT INTO peers (public_key) VALUES ('short')":                                                 "the base64 of 32 bytes",
		"INSERT INTO peers (public_key) VALUES ('" + good[:42] + "B=')":                                   "the base64 of 32 bytes",
		"INSERT INTO peers (public_key) VALUES ('" + good[:20] + "-" + good[21:] + "')":                   "the base64 of 32 bytes",
		"INSERT INTO peers (public_key) VALUES ('" + key.Public{}.Base64() + "')":                         "not all zeros",
		"INSERT INTO peers (public_key) VALUES (NULL)":                                                    "NOT NULL",
		"INSERT INTO peers (public_key) VALUES ('" + storetest.Numbered(1).PublicKey.Base64() + "')":      "peers.public_key",
		"INSERT INTO peers (public_key, name) VALUES ('" + good + "', 'peer1')":                           "peers.name",
		"INSERT INTO peers (public_key, name) VALUES ('" + good + "', '')":                                "name: 1 to 63",
		"INSERT INTO peers (public_key, name) VALUES ('" + good + "', 'a b')":                             "name: 1 to 63",
		"INSERT INTO peers (public_key, name) VALUES ('" + good + "', '" + strings.Repeat("a", 64) + "')": "name: 1 to 63",
		"UPDATE peers SET preshared_key = 'x' WHERE name = 'peer0'":                                       "preshared_key: the base64",
		"UPDATE peers SET endpoint = 'host' WHERE name = 'peer0'":                                         "endpoint: HOST:PORT",
		"UPDATE peers SET persistent_keepalive = 65536 WHERE name = 'peer0'":                              "1 to 65535 seconds",
		"UPDATE peers SET persistent_keepalive = 'x' WHERE name = 'peer0'":                                "INTEGER",
		"INSERT INTO allowed_ips VALUES ('10.0.0.1/32', 1)":                                               "allowed_ips.prefix",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1/32', 77)":                                              "there is no peer with this id",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1', 1)":                                                  "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1/24', 1)":                                               "without bits of the host",
		"INSERT INTO allowed_ips VALUES ('10.5.0.01/32', 1)":                                              "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.256/32', 1)":                                             "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.1/32', 1)":                                                 "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.0.1/32', 1)":                                             "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1/33', 1)":                                               "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1/032', 1)":                                              "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('10.5.0.1/', 1)":                                                 "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('x/32', 1)":                                                      "prefix: ADDRESS/LENGTH",
		"INSERT INTO allowed_ips VALUES ('FD00::/16', 1)":                                                 "in lower case",
		"INSERT INTO allowed_ips VALUES ('fd00::/129', 1)":                                                "prefix: ADDRESS/LENGTH",
		"INSERT INTO seen (peer) VALUES (77)":                                                             "there is no peer with this id",
		"UPDATE seen SET stamp = 'x'":                                                                     "24 hexadecimal digits",
		"INSERT INTO gateway VALUES (2, '{}')":                                                            "id = 1",
	} {
		if _, err := db.Exec(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
	for _, prefix := range []string{"0.0.0.0/0", "255.255.255.255/32", "10.128.0.0/9", "::/0", "fd00:1::/32", "::ffff:1.2.3.4/128"} {
		if _, err := db.Exec("INSERT INTO allowed_ips VALUES (?, 1)", prefix); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	// With foreign keys off, triggers still remove what belongs to a peer.
	if _, err := db.Exec("DELETE FROM peers WHERE name = 'peer1'"); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM allowed_ips WHERE peer = 2) + (SELECT count(*) FROM seen WHERE peer = 2)").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows of a peer that was deleted are left, %v", left, err)
	}
}

// What slips past the constraints harms that peer only, which says so.
func TestProblems(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	for i := range 5 {
		storetest.Add(t, f, storetest.Numbered(i))
	}
	db := foreign(t, path)
	for _, query := range []string{
		"INSERT INTO allowed_ips VALUES ('fd00:0:0::7/128', 1)",
		"UPDATE peers SET endpoint = 'a:b:9' WHERE id = 2",
		"UPDATE peers SET endpoint = '[::ffff:192.0.2.1]:9' WHERE id = 3",
		"UPDATE peers SET public_key = '" + key.Public{1}.Base64() + "' WHERE id = 4",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"write fd00::7/128, so that it is found", "is not an IPv6 address", "write 192.0.2.1:9, so that it is found", "no handshake can succeed", ""}
	i := 0
	for p, err := range f.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != storetest.Numbered(i).Name || want[i] == "" && p.Problem != "" || !strings.Contains(p.Problem, want[i]) {
			t.Errorf("peer %d is %s with the problem %q, want %q", i, p.Name, p.Problem, want[i])
		}
		i++
	}
	if i != 5 {
		t.Errorf("%d peers were read", i)
	}
	if p, err := f.ByAddress(t.Context(), storetest.Numbered(4).AllowedIPs[0].Addr()); err != nil || p.Problem != "" {
		t.Errorf("the peer without a problem: %+v, %v", p, err)
	}
}

// A peer that was replaced without triggers leaves its allowed IPs, which are free again.
func TestReplacedPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0))
	query := "INSERT OR REPLACE INTO peers (name, public_key) VALUES ('peer0', '" + storetest.Numbered(1).PublicKey.Base64() + "')"
	if _, err := foreign(t, path).Exec(query); err != nil {
		t.Fatal(err)
	}
	address := storetest.Numbered(0).AllowedIPs[0].Addr()
	if p, err := f.ByAddress(t.Context(), address); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the peer that was replaced: %v, %v", p, err)
	}
	network := storetest.Numbered(3)
	network.AllowedIPs = []netip.Prefix{netip.PrefixFrom(address, 8).Masked()}
	storetest.Add(t, f, network)
	if p, err := f.ByAddress(t.Context(), address); err != nil || p.Name != "peer3" {
		t.Errorf("the address leads to %v, %v, want the peer with a network around it", p, err)
	}
	heir := storetest.Numbered(2)
	heir.AllowedIPs = storetest.Numbered(0).AllowedIPs
	storetest.Add(t, f, heir)
	if p, err := f.ByAddress(t.Context(), address); err != nil || p.Name != "peer2" {
		t.Errorf("its address leads to %v, %v", p, err)
	}
}

// Watch reports what this process and other programs change, each peer once, and nothing
// that gateways have seen.
func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0), storetest.Numbered(1), storetest.Numbered(2))
	since, err := f.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	arrived := make(chan store.Changes)
	go func() {
		defer close(arrived)
		for c, err := range f.Watch(ctx, since) {
			if err != nil {
				t.Error(err)
				return
			}
			arrived <- c
		}
	}()
	db := foreign(t, path)
	for _, c := range []struct {
		query string
		want  []int
	}{
		{"UPDATE peers SET revoked = 5 WHERE name = 'peer1'", []int{1}},
		{"UPDATE seen SET rx_bytes = 5; DELETE FROM allowed_ips WHERE peer = 1", []int{0}},
		{"BEGIN; UPDATE allowed_ips SET peer = 2 WHERE peer = 3; DELETE FROM peers WHERE id = 1; COMMIT", []int{2, 1, 0}},
		{"UPDATE peers SET public_key = '" + storetest.Numbered(7).PublicKey.Base64() + "' WHERE id = 3", []int{2, 7}},
	} {
		if _, err := db.Exec(c.query); err != nil {
			t.Fatal(err)
		}
		got := <-arrived
		same := len(got.Keys) == len(c.want) && !got.Lost
		for i := 0; same && i < len(c.want); i++ {
			found := false
			for _, k := range got.Keys {
				found = found || k == storetest.Numbered(c.want[i]).PublicKey
			}
			same = found
		}
		if !same {
			t.Errorf("%s: %+v, want the peers %v", c.query, got, c.want)
		}
	}
	if err := f.Delete(ctx, storetest.Numbered(1).PublicKey); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; len(got.Keys) != 1 || got.Keys[0] != storetest.Numbered(1).PublicKey {
		t.Errorf("deleted by this process: %+v", got)
	}
	cancel()
	if c, more := <-arrived; more {
		t.Errorf("after the end: %+v", c)
	}
}

// A watch that begins at a revision which is no longer known, or not yet, is told so.
func TestWatchIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0), storetest.Numbered(1))
	first := func(since store.Revision) store.Changes {
		for c, err := range f.Watch(t.Context(), since) {
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		return store.Changes{}
	}
	current, err := f.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := first(0); c.Lost || len(c.Keys) != 2 || c.Revision != current {
		t.Errorf("since the beginning: %+v", c)
	}
	if c := first(current + 10); !c.Lost || c.Revision != current {
		t.Errorf("after a restored backup: %+v", c)
	}
	if _, err := foreign(t, path).Exec("DELETE FROM changes WHERE revision <= 2"); err != nil {
		t.Fatal(err)
	}
	if c := first(1); !c.Lost || c.Revision != current {
		t.Errorf("since a revision that was trimmed: %+v", c)
	}
	if c := first(2); c.Lost || len(c.Keys) == 0 {
		t.Errorf("since the last revision that was trimmed: %+v", c)
	}
}

// The list of changes keeps the last 100,000.
func TestChangesAreTrimmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0))
	db := foreign(t, path)
	if _, err := db.Exec("UPDATE sqlite_sequence SET seq = 100001 WHERE name = 'changes'; UPDATE peers SET name = 'other'"); err != nil {
		t.Fatal(err)
	}
	var oldest, count int
	if err := db.QueryRow("SELECT min(revision), count(*) FROM changes").Scan(&oldest, &count); err != nil || oldest != 3 || count != 2 {
		t.Errorf("the first of %d changes is %d, %v, want 3 of 2", count, oldest, err)
	}
}
