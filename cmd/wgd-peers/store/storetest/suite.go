package storetest

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

// Run runs the tests that every store must pass. open returns an empty store each time.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open func(t *testing.T) store.Store)
	}{
		{"Fields", testFields}, {"ByAddress", testByAddress}, {"ByEndpoint", testByEndpoint},
		{"Refusals", testRefusals}, {"Update", testUpdate}, {"Delete", testDelete},
		{"FreeAddresses", testFreeAddresses}, {"FreeAddressAfterMany", testFreeAddressAfterMany}, {"GatewayWithTwoAddresses", testGatewayWithTwoAddresses}, {"AddTogether", testAddTogether}, {"Record", testRecord}, {"RecordTogether", testRecordTogether},
		{"All", testAll}, {"Gateway", testGateway}, {"Import", testImport}, {"ImportReplaces", testImportReplaces}, {"BrokenImport", testBrokenImport},
		{"Ceiling", testCeiling}, {"Watch", testWatch}, {"WatchIsLost", testWatchIsLost},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// Every field of a peer comes back as it was stored.
func testFields(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	p := Numbered(1)
	p.Endpoint, p.PersistentKeepalive, p.Revoked, p.Created = "vpn.example.org:51820", 25, time.Unix(1700000001, 0), time.Unix(1700000000, 0)
	p.Seen.RxBytes, p.Seen.TxBytes = 1<<40, 7
	Add(t, s, p)
	got, err := s.ByKey(t.Context(), p.PublicKey)
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
	if since := time.Since(got.Changed); since < -time.Second || since > time.Minute {
		t.Errorf("changed %v ago", since)
	}
	if got.Seen != p.Seen {
		t.Errorf("seen %+v, want %+v", got.Seen, p.Seen)
	}
	Add(t, s, &store.Peer{PublicKey: Numbered(2).PublicKey})
	if got, err := s.ByKey(t.Context(), Numbered(2).PublicKey); err != nil || got.Problem != "" || got.Name != "" || !got.PresharedKey.IsZero() || got.Seen != (store.Seen{}) || got.Created.IsZero() {
		t.Errorf("a peer with nothing but a key: %+v, %v", got, err)
	}
}

// The longest prefix of an address decides, in both families.
func testByAddress(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	for i, texts := range [][]string{{"0.0.0.0/0", "::/0"}, {"10.0.0.0/8", "fd00::/8"}, {"10.1.2.0/24"}, {"10.1.2.3/32", "fd00::3/128"}} {
		p := Numbered(i)
		p.AllowedIPs = Prefixes(texts...)
		Add(t, s, p)
	}
	for address, want := range map[string]string{
		"192.0.2.1": "peer0", "10.9.9.9": "peer1", "10.1.2.4": "peer2", "10.1.2.3": "peer3",
		"2001:db8::1": "peer0", "fd00::4": "peer1", "fd00::3": "peer3",
	} {
		if p, err := s.ByAddress(t.Context(), netip.MustParseAddr(address)); err != nil || p.Name != want {
			t.Errorf("%s: %v, %v, want %s", address, p, err, want)
		}
	}
	if _, err := open(t).ByAddress(t.Context(), netip.MustParseAddr("10.1.2.3")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in an empty store: %v", err)
	}
}

// Of several peers that were at an endpoint, the last one is there. Without any, it is the
// one that is configured to be there.
func testByEndpoint(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	at := netip.MustParseAddrPort("192.0.2.1:7")
	older, newer, configured := Numbered(0), Numbered(1), Numbered(2)
	older.Seen, newer.Seen, configured.Seen = store.Seen{Endpoint: at, At: time.Unix(100, 0)}, store.Seen{Endpoint: at, At: time.Unix(200, 0)}, store.Seen{}
	configured.Endpoint = "[::ffff:192.0.2.9]:9"
	Add(t, s, newer, older, configured)
	expect := func(endpoint, want string) {
		t.Helper()
		p, err := s.ByEndpoint(t.Context(), netip.MustParseAddrPort(endpoint))
		switch {
		case want == "" && errors.Is(err, store.ErrNotFound):
		case want == "" || err != nil || p.Name != want:
			t.Errorf("%s: %v, %v, want %q", endpoint, p, err, want)
		}
	}
	for endpoint, want := range map[string]string{"192.0.2.1:7": "peer1", "[::ffff:192.0.2.1]:7": "peer1", "192.0.2.9:9": "peer2", "192.0.2.1:8": "", "192.0.2.1:70": ""} {
		expect(endpoint, want)
	}
	moved := store.Sighting{PublicKey: newer.PublicKey, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:7"), At: time.Unix(300, 0)}
	if _, err := s.Record(t.Context(), []store.Sighting{moved}); err != nil {
		t.Fatal(err)
	}
	expect("192.0.2.1:7", "peer0")
	expect("[2001:db8::1]:7", "peer1")
	err := s.Update(t.Context(), configured.PublicKey, func(p *store.Peer) error { p.Endpoint = "192.0.2.10:9"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	expect("192.0.2.9:9", "")
	expect("192.0.2.10:9", "peer2")
	for _, p := range []*store.Peer{older, newer, configured} {
		if err := s.Delete(t.Context(), p.PublicKey); err != nil {
			t.Fatal(err)
		}
	}
	for _, endpoint := range []string{"192.0.2.1:7", "[2001:db8::1]:7", "192.0.2.10:9"} {
		expect(endpoint, "")
	}
}

// What belongs to another peer is refused by its name, and nothing changes then.
func testRefusals(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0), Numbered(1))
	for name, c := range map[string]struct {
		change func(p *store.Peer)
		want   string
	}{
		"a key":          {func(p *store.Peer) { p.PublicKey = Numbered(1).PublicKey }, "public key already, as peer peer1"},
		"a name":         {func(p *store.Peer) { p.Name = "peer1" }, "peer peer1: the store has another peer with this name"},
		"an allowed IP":  {func(p *store.Peer) { p.AllowedIPs = Prefixes("10.9.0.0/16", "10.0.0.1/32") }, "allowed IP 10.0.0.1/32: peer peer1 has it"},
		"a low order":    {func(p *store.Peer) { p.PublicKey = key.Public{1} }, "no handshake can succeed"},
		"a wrong name":   {func(p *store.Peer) { p.Name = "a b" }, "is not allowed in a name"},
		"wrong endpoint": {func(p *store.Peer) { p.Endpoint = "host" }, "no port"},
	} {
		p := Numbered(9)
		c.change(p)
		var refusal store.Refusal
		if err := s.Add(t.Context(), p, nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("add, %s of another: %v, want %q", name, err, c.want)
		}
		err := s.Update(t.Context(), Numbered(0).PublicKey, func(p *store.Peer) error { c.change(p); return nil })
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("update, %s of another: %v, want %q", name, err, c.want)
		}
	}
	for i := range 2 {
		p, err := s.ByName(t.Context(), Numbered(i).Name)
		if err != nil || p.PublicKey != Numbered(i).PublicKey || !slices.Equal(p.AllowedIPs, Numbered(i).AllowedIPs) {
			t.Errorf("peer %d is %+v, %v", i, p, err)
		}
	}
}

// An update replaces what is configured, keeps what was seen, and frees what it removes.
func testUpdate(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0))
	err := s.Update(t.Context(), Numbered(0).PublicKey, func(p *store.Peer) error {
		p.Name, p.AllowedIPs, p.PresharedKey = "other", Prefixes("10.7.0.0/16"), key.Preshared{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.ByName(t.Context(), "other")
	if err != nil || !p.PresharedKey.IsZero() || !slices.Equal(p.AllowedIPs, Prefixes("10.7.0.0/16")) || p.Seen != Numbered(0).Seen || p.Problem != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err := s.ByName(t.Context(), Numbered(0).Name); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by the name that it had: %v, %v", p, err)
	}
	if p, err := s.ByAddress(t.Context(), Numbered(0).AllowedIPs[0].Addr()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by the address that it had: %v, %v", p, err)
	}
	stranger := Numbered(5)
	stranger.Name, stranger.AllowedIPs = Numbered(0).Name, Numbered(0).AllowedIPs
	Add(t, s, stranger)
	stop := errors.New("changed my mind")
	if err := s.Update(t.Context(), stranger.PublicKey, func(p *store.Peer) error { p.Name = "no"; return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of the function: %v", err)
	}
	if _, err := s.ByName(t.Context(), "no"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after an error, it has the new name: %v", err)
	}
	if err := s.Update(t.Context(), Numbered(7).PublicKey, func(*store.Peer) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a peer that does not exist: %v", err)
	}
	renewed := Numbered(8).PublicKey
	if err := s.Update(t.Context(), stranger.PublicKey, func(p *store.Peer) error { p.PublicKey = renewed; return nil }); err != nil {
		t.Fatal(err)
	}
	if p, err := s.ByName(t.Context(), stranger.Name); err != nil || p.PublicKey != renewed || p.Seen != stranger.Seen || p.Problem != "" {
		t.Errorf("with another key: %+v, %v", p, err)
	}
	if _, err := s.ByKey(t.Context(), stranger.PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by the key that it had: %v", err)
	}
}

// A peer that is deleted leaves nothing.
func testDelete(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0), Numbered(1))
	if err := s.Delete(t.Context(), Numbered(0).PublicKey); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), Numbered(0).PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	p := Numbered(0)
	p.Seen = store.Seen{}
	Add(t, s, p)
	if got, err := s.ByKey(t.Context(), p.PublicKey); err != nil || got.Seen != (store.Seen{}) {
		t.Errorf("added again, it has %+v, %v", got, err)
	}
	if got, err := s.ByName(t.Context(), Numbered(1).Name); err != nil || got.Seen != Numbered(1).Seen {
		t.Errorf("the other peer is %+v, %v", got, err)
	}
}

// What clients must know about the gateways comes back as it was stored.
func testGateway(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	if g, err := s.Gateway(t.Context()); err != nil || !g.PublicKey.IsZero() || g.Endpoint != "" {
		t.Errorf("of an empty store: %+v, %v", g, err)
	}
	want := store.Gateway{PublicKey: Numbered(1).PublicKey, Endpoint: "vpn.example.org:51820", Addresses: Prefixes("10.0.0.1/8"), DNS: []string{"10.0.0.1"}, Keepalive: 25}
	if err := s.SetGateway(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	g, err := s.Gateway(t.Context())
	if err != nil || g.PublicKey != want.PublicKey || g.Endpoint != want.Endpoint || !slices.Equal(g.Addresses, want.Addresses) || !slices.Equal(g.DNS, want.DNS) || g.Keepalive != 25 {
		t.Errorf("%+v, %v, want %+v", g, err, want)
	}
}

// What gateways report is added: bytes add up, the greatest stamp stays, the endpoint is the
// latest one; strangers are ignored.
func testRecord(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	p := Numbered(0)
	p.Seen = store.Seen{}
	Add(t, s, p)
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for _, sighting := range []store.Sighting{
		{Endpoint: EndpointOf(1), At: late, Stamp: wire.StampAt(late), RxBytes: 1, TxBytes: 2},
		{Endpoint: EndpointOf(2), At: early, Stamp: wire.StampAt(early), RxBytes: 10, TxBytes: 20},
		{At: late, RxBytes: 1 << 63},
		{At: late, RxBytes: 1 << 63},
	} {
		sighting.PublicKey = p.PublicKey
		if _, err := s.Record(t.Context(), []store.Sighting{{PublicKey: Numbered(9).PublicKey, RxBytes: 5}, sighting}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.ByKey(t.Context(), p.PublicKey)
	want := store.Seen{Endpoint: EndpointOf(1), At: late, Stamp: wire.StampAt(late), RxBytes: 1<<63 - 1, TxBytes: 22}
	if err != nil || got.Seen != want {
		t.Errorf("seen %+v, %v, want %+v", got.Seen, err, want)
	}
	if _, err := s.ByKey(t.Context(), Numbered(9).PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a stranger that was seen: %v", err)
	}
	Add(t, s, Numbered(10))
	if _, err := s.Record(t.Context(), nil); err != nil {
		t.Errorf("nothing was seen: %v", err)
	}
}
