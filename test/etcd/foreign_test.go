package etcd

import (
	"errors"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// encoded returns the public key of a peer as keys have it.
func encoded(n int) string {
	return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(storetest.Numbered(n).PublicKey.Base64())
}

// What others write below the prefix is as good as what this program writes.
func TestForeignPeer(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k, prefix := c.open(t, address), c.foreign(t), prefixOf(address)
	w := watch(t, s)
	put(t, k, prefix+"names/carol", encoded(1))
	put(t, k, prefix+"addresses/10.2.0.9/32", encoded(1))
	put(t, k, prefix+"peers/"+encoded(1), `{"name": "carol", "allowed_ips": ["10.2.0.9/32"], "later": "ignored"}`)
	w.within(t, 5*time.Second, 1)
	p, err := s.ByAddress(t.Context(), storetest.Prefixes("10.2.0.9/32")[0].Addr())
	if err != nil || p.PublicKey != storetest.Numbered(1).PublicKey || p.Problem != "" || p.Name != "carol" {
		t.Errorf("%+v, %v", p, err)
	}
}

// A watch reports what others change of a peer that was imported, which keeps the ID of its
// import.
func TestForeignChangeOfImported(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k, prefix := c.open(t, address), c.foreign(t), prefixOf(address)
	if _, _, err := s.Import(t.Context(), storetest.NumberedPeers(2), false, func(_ *store.Peer, err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	w := watch(t, c.open(t, address))
	for n := range 2 {
		where := prefix + "peers/" + encoded(n)
		response, err := k.Get(t.Context(), where)
		if err != nil || len(response.Kvs) != 1 || !strings.Contains(string(response.Kvs[0].Value), `"import":`) {
			t.Fatalf("peer %d is %v, %v", n, response, err)
		}
		put(t, k, where, strings.Replace(string(response.Kvs[0].Value), "{", `{"revoked":1764000000,`, 1))
		w.within(t, 5*time.Second, n)
	}
	if p, err := s.ByKey(t.Context(), storetest.Numbered(1).PublicKey); err != nil || p.Revoked.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
}

// What others write wrongly harms that peer only, which says so.
func TestProblems(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k, prefix := c.open(t, address), c.foreign(t), prefixOf(address)
	for i := range 9 {
		storetest.Add(t, s, storetest.Numbered(i))
	}
	peer := func(n int) string { return prefix + "peers/" + encoded(n) }
	put(t, k, peer(1), `not JSON`)
	put(t, k, peer(2), `{"name": "peer2", "allowed_ips": ["FD00::2/128"]}`)
	put(t, k, peer(3), `{"name": "peer3", "endpoint": "a:b:9"}`)
	put(t, k, peer(4), `{"name": "peer4", "allowed_ips": ["10.0.0.4/32", "10.0.0.5/32"]}`) // which peer 5 has
	put(t, k, peer(6), `{"name": "other"}`)
	put(t, k, prefix+"seen/"+encoded(7), `{"stamp": "x"}`)
	put(t, k, peer(8), `{"name": "peer8", "persistent_keepalive": 70000}`)
	put(t, k, prefix+"peers/x", `{}`)
	want := map[string]string{
		storetest.Numbered(1).PublicKey.Base64(): "it is no JSON object",
		storetest.Numbered(2).PublicKey.Base64(): "write fd00::2/128, so that it is found",
		storetest.Numbered(3).PublicKey.Base64(): "is not an IPv6 address",
		storetest.Numbered(4).PublicKey.Base64(): "allowed IP 10.0.0.5/32: the key " + prefix + "addresses/10.0.0.5/32 leads to another peer",
		storetest.Numbered(6).PublicKey.Base64(): "name other: there is no key " + prefix + "names/other",
		storetest.Numbered(7).PublicKey.Base64(): "write 24 hexadecimal digits",
		storetest.Numbered(8).PublicKey.Base64(): "it is no JSON object",
		(&store.Peer{}).PublicKey.Base64():       "does not end with a public key",
	}
	n := 0
	for p, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if text := want[p.PublicKey.Base64()]; text == "" && p.Problem != "" || !strings.Contains(p.Problem, text) {
			t.Errorf("peer %s has the problem %q, want %q", p.Label(), p.Problem, text)
		}
	}
	if n != 10 {
		t.Errorf("%d peers were read, want 10", n)
	}
	for _, i := range []int{0, 5} {
		if p, err := s.ByAddress(t.Context(), storetest.Numbered(i).AllowedIPs[0].Addr()); err != nil || p.Problem != "" || p.Name != storetest.Numbered(i).Name {
			t.Errorf("peer %d, without a problem: %+v, %v", i, p, err)
		}
	}
	if _, err := s.Record(t.Context(), []store.Sighting{{PublicKey: storetest.Numbered(1).PublicKey, RxBytes: 1}, {PublicKey: storetest.Numbered(0).PublicKey, RxBytes: 1}}); err != nil {
		t.Errorf("recording what was seen: %v", err)
	}
	if err := s.Update(t.Context(), storetest.Numbered(6).PublicKey, func(*store.Peer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if p, err := s.ByName(t.Context(), "other"); err != nil || p.Problem != "" {
		t.Errorf("the peer whose name was no key, after an update: %+v, %v", p, err)
	}
	for _, i := range []int{1, 8} {
		if err := s.Delete(t.Context(), storetest.Numbered(i).PublicKey); err != nil {
			t.Error(err)
		}
	}
}

// Claims of a peer that was deleted with etcdctl lead nowhere, and others get them.
func TestLeftClaims(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k, prefix := c.open(t, address), c.foreign(t), prefixOf(address)
	storetest.Add(t, s, storetest.Numbered(0))
	if _, err := k.Delete(t.Context(), prefix+"peers/"+encoded(0)); err != nil {
		t.Fatal(err)
	}
	at := storetest.Numbered(0).AllowedIPs[0].Addr()
	if p, err := s.ByAddress(t.Context(), at); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by address: %v, %v", p, err)
	}
	if p, err := s.ByEndpoint(t.Context(), storetest.EndpointOf(0)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by endpoint: %v, %v", p, err)
	}
	around := storetest.Numbered(2)
	around.AllowedIPs = storetest.Prefixes("10.0.0.0/8")
	storetest.Add(t, s, around)
	if p, err := s.ByAddress(t.Context(), at); err != nil || p.Name != around.Name {
		t.Errorf("the prefix around it: %v, %v", p, err)
	}
	heir := storetest.Numbered(1)
	heir.Name, heir.AllowedIPs = storetest.Numbered(0).Name, storetest.Numbered(0).AllowedIPs
	storetest.Add(t, s, heir)
	if p, err := s.ByAddress(t.Context(), at); err != nil || p.PublicKey != heir.PublicKey || p.Problem != "" {
		t.Errorf("the heir: %+v, %v", p, err)
	}
}

// A peer that is deleted, changed or replaced leaves no keys.
func TestNothingIsLeft(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k, prefix := c.open(t, address), c.foreign(t), prefixOf(address)
	p := storetest.Numbered(0)
	p.Endpoint = "192.0.2.1:9"
	storetest.Add(t, s, p)
	if got := keysBelow(t, k, prefix); len(got) != 8 {
		t.Errorf("a peer has the keys %q", got)
	}
	moved := storetest.Numbered(0)
	moved.Name, moved.Endpoint, moved.AllowedIPs, moved.Seen.Endpoint = "moved", "192.0.2.2:9", storetest.Prefixes("10.7.0.0/24"), storetest.EndpointOf(7)
	one := func(yield func(*store.Peer, error) bool) { yield(moved, nil) }
	if _, replaced, err := s.Import(t.Context(), one, true, func(_ *store.Peer, err error) { t.Error(err) }); replaced != 1 || err != nil {
		t.Fatalf("%d replaced, %v", replaced, err)
	}
	want := []string{"addresses/10.7.0.0/24", "configured/192.0.2.2:9/" + encoded(0), "endpoints/" + storetest.EndpointOf(7).String() + "/" + encoded(0),
		"imported", "names/moved", "peers/" + encoded(0), "schema", "seen/" + encoded(0)}
	if got := strings.ReplaceAll(strings.Join(keysBelow(t, k, prefix), " "), prefix, ""); got != strings.Join(want, " ") {
		t.Errorf("the replaced peer has the keys %s, want %q", got, want)
	}
	if err := s.Delete(t.Context(), p.PublicKey); err != nil {
		t.Fatal(err)
	}
	if got := keysBelow(t, k, prefix); len(got) != 2 {
		t.Errorf("without peers, there are the keys %q", got)
	}
}

// A store of a later version is refused, and so is a prefix without a store, unless one is to
// be made.
func TestOpenRefuses(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	o, err := etcd.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Open(t.Context(), o, false); err == nil || !strings.Contains(err.Error(), "there is no store below "+prefixOf(address)) {
		t.Errorf("no store: %v", err)
	}
	k := c.foreign(t)
	for value, want := range map[string]string{"2": "schema 2, and this program knows schema 1 at most: use a newer wgd-peers", "x": "which is no version"} {
		put(t, k, prefixOf(address)+"schema", value)
		if _, err := etcd.Open(t.Context(), o, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("schema %s: %v, want %q", value, err, want)
		}
	}
	o.Endpoints = []string{"127.0.0.1:9"}
	begin := time.Now()
	if _, err := etcd.Open(t.Context(), o, true); err == nil || !strings.Contains(err.Error(), "etcd at 127.0.0.1:9: there was no answer") || time.Since(begin) > 9*time.Second {
		t.Errorf("no member: %v", err)
	}
}
