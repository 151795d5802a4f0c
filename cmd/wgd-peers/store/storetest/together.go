package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

// Free addresses are none of the gateway's, of the network or of broadcasts, and none in a
// prefix of a peer. All that are free are found, and one that becomes free is found again.
func testFreeAddresses(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	if err := s.SetGateway(t.Context(), &store.Gateway{Addresses: Prefixes("10.0.0.1/28")}); err != nil {
		t.Fatal(err)
	}
	site, all := Numbered(100), Numbered(101)
	site.AllowedIPs, all.AllowedIPs = Prefixes("10.0.0.4/30"), Prefixes("0.0.0.0/0", "10.0.0.0/28")
	Add(t, s, site, all)
	network := Prefixes("10.0.0.0/28")
	take := func(n int) string {
		p := Numbered(n)
		p.AllowedIPs = nil
		if err := s.Add(t.Context(), p, network); err != nil {
			return err.Error()
		}
		return p.AllowedIPs[0].Addr().String()
	}
	var taken []string
	for i := range 9 {
		taken = append(taken, take(i))
	}
	freed := taken[4]
	slices.Sort(taken)
	if want := []string{"10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.2", "10.0.0.3", "10.0.0.8", "10.0.0.9"}; !slices.Equal(taken, want) {
		t.Errorf("the free addresses are %q, want %q", taken, want)
	}
	if got := take(50); !strings.Contains(got, "10.0.0.0/28: all addresses are taken") {
		t.Errorf("in a full network: %s", got)
	}
	if err := s.Delete(t.Context(), Numbered(4).PublicKey); err != nil {
		t.Fatal(err)
	}
	if got := take(51); got != freed {
		t.Errorf("the address of a peer that was deleted: %s, want %s", got, freed)
	}
	pair := Numbered(60)
	pair.AllowedIPs = nil
	if err := s.Add(t.Context(), pair, Prefixes("10.8.0.0/31", "fd00::/64")); err != nil || !slices.Equal(pair.AllowedIPs, Prefixes("10.8.0.0/32", "fd00::1/128")) {
		t.Errorf("of a network of two addresses, and of IPv6: %v, %v", pair.AllowedIPs, err)
	}
}

// Of a network in which the gateway has two addresses, a peer gets one.
func testGatewayWithTwoAddresses(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	g := &store.Gateway{Addresses: Prefixes("10.0.0.1/24", "fd00::1/64", "10.0.0.2/24")}
	if err := s.SetGateway(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	p := Numbered(0)
	p.AllowedIPs = nil
	if err := s.Add(t.Context(), p, g.Networks()); err != nil || !slices.Equal(p.AllowedIPs, Prefixes("10.0.0.3/32", "fd00::2/128")) {
		t.Errorf("the addresses of the peer are %v, %v", p.AllowedIPs, err)
	}
}

// Peers that are added at the same time get different addresses.
func testAddTogether(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	const adders, each = 4, 25
	var wg sync.WaitGroup
	for i := range adders {
		wg.Go(func() {
			for n := range each {
				p := Numbered(i*each + n)
				p.AllowedIPs = nil
				if err := s.Add(t.Context(), p, Prefixes("10.0.0.0/16")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	addresses := map[string]bool{}
	for p, err := range s.All(t.Context()) {
		if err != nil || p.Problem != "" || len(p.AllowedIPs) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		addresses[p.AllowedIPs[0].String()] = true
	}
	if len(addresses) != adders*each {
		t.Errorf("%d addresses, want %d", len(addresses), adders*each)
	}
}

// Of what several gateways record at the same time, nothing is lost, and nothing is counted
// twice.
func testRecordTogether(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	const peers, gateways, times = 10, 3, 8
	for i := range peers {
		p := Numbered(i)
		p.Seen = store.Seen{}
		Add(t, s, p)
	}
	at := func(gateway, n int) time.Time { return time.Unix(int64(1000+gateways*n+gateway), 0) }
	var wg sync.WaitGroup
	for g := range gateways {
		wg.Go(func() {
			for n := range times {
				var sightings []store.Sighting
				for i := range peers {
					sightings = append(sightings, store.Sighting{PublicKey: Numbered(i).PublicKey, Endpoint: EndpointOf(g*times + n),
						At: at(g, n), Stamp: wire.StampAt(at(g, n)), RxBytes: 1, TxBytes: 10})
				}
				if _, err := s.Record(t.Context(), sightings); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last := at(gateways-1, times-1)
	want := store.Seen{Endpoint: EndpointOf(gateways*times - 1), At: last, Stamp: wire.StampAt(last), RxBytes: gateways * times, TxBytes: 10 * gateways * times}
	for i := range peers {
		if p, err := s.ByKey(t.Context(), Numbered(i).PublicKey); err != nil || p.Seen != want {
			t.Errorf("peer %d: %+v, %v, want %+v", i, p.Seen, err, want)
		}
	}
}

// All peers are read, each once, with what was seen of them.
func testAll(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	const n = 2500
	if added, _, err := s.Import(t.Context(), NumberedPeers(n), false, func(_ *store.Peer, err error) { t.Error(err) }); err != nil || added != n {
		t.Fatalf("%d were added, %v", added, err)
	}
	names := map[string]bool{}
	for p, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Problem != "" || names[p.Name] || p.Seen == (store.Seen{}) || len(p.AllowedIPs) != 2 {
			t.Fatalf("%+v", p)
		}
		names[p.Name] = true
	}
	if len(names) != n {
		t.Errorf("%d peers were read, want %d", len(names), n)
	}
	for range s.All(t.Context()) {
		break
	}
}

// A listener receives changes, and ends with the test.
type listener struct {
	t       *testing.T
	arrived chan store.Changes
}

func listen(t *testing.T, s store.Store, since store.Revision) listener {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	l := listener{t, make(chan store.Changes)}
	go func() {
		defer close(l.arrived)
		for c, err := range s.Watch(ctx, since) {
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case l.arrived <- c:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range l.arrived {
		}
	})
	return l
}

// expect waits until all of the peers were reported, and no others.
func (l listener) expect(what string, numbers ...int) {
	l.t.Helper()
	missing := map[key.Public]bool{}
	for _, n := range numbers {
		missing[Numbered(n).PublicKey] = true
	}
	for len(missing) > 0 {
		c, open := <-l.arrived
		if !open || c.Lost || len(c.Keys) == 0 {
			l.t.Fatalf("%s: %+v, and %d peers are missing", what, c, len(missing))
		}
		for _, public := range c.Keys {
			if !missing[public] {
				l.t.Errorf("%s: %v was reported", what, public)
			}
			delete(missing, public)
		}
	}
}

// Watch reports all changes, and nothing that gateways have seen. It begins after the
// revision that it was given.
func testWatch(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0))
	since := revision(t, s)
	Add(t, s, Numbered(1), Numbered(2))
	l := listen(t, s, since)
	l.expect("added before", 1, 2)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Update(t.Context(), Numbered(1).PublicKey, func(p *store.Peer) error { p.Revoked = time.Unix(5, 0); return nil }))
	l.expect("revoked", 1)
	_, err := s.Record(t.Context(), []store.Sighting{{PublicKey: Numbered(0).PublicKey, RxBytes: 5, At: time.Unix(5, 0)}})
	must(err)
	must(s.Delete(t.Context(), Numbered(0).PublicKey))
	l.expect("deleted", 0)
	must(s.Update(t.Context(), Numbered(1).PublicKey, func(p *store.Peer) error { p.PublicKey = Numbered(7).PublicKey; return nil }))
	l.expect("another key", 1, 7)
	if _, _, err := s.Import(t.Context(), NumberedPeers(1), false, func(_ *store.Peer, err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	if c := <-l.arrived; !c.Lost && !slices.Equal(c.Keys, []key.Public{Numbered(0).PublicKey}) {
		t.Errorf("imported: %+v", c)
	}
}

// A watch that begins at a revision which is not there yet, because a backup was restored,
// is told so.
func testWatchIsLost(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0))
	current := revision(t, s)
	l := listen(t, s, current+10)
	if c := <-l.arrived; !c.Lost || c.Revision != current {
		t.Errorf("since the future: %+v, want all lost at revision %d", c, current)
	}
	Add(t, s, Numbered(1))
	l.expect("after that", 1)
}

func revision(t *testing.T, s store.Store) store.Revision {
	t.Helper()
	r, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func list(peers ...*store.Peer) func(yield func(*store.Peer, error) bool) {
	return func(yield func(*store.Peer, error) bool) {
		for _, p := range peers {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// An import adds what it can, and says what it skips.
func testImport(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0))
	same, taken, other, twice, wrong := Numbered(0), Numbered(1), Numbered(2), Numbered(3), Numbered(4)
	taken.AllowedIPs = Numbered(0).AllowedIPs
	twice.Name = other.Name
	wrong.Name = "a b"
	var refused []string
	skipped := func(p *store.Peer, err error) { refused = append(refused, err.Error()) }
	added, replaced, err := s.Import(t.Context(), list(same, taken, other, twice, wrong), false, skipped)
	if added != 1 || replaced != 0 || err != nil || len(refused) != 4 {
		t.Fatalf("%d added, %d replaced, %v; refused: %q", added, replaced, err, refused)
	}
	text := strings.Join(refused, "\n")
	for _, want := range []string{"public key already", "peer peer1: allowed IP 10.0.0.0/32: peer peer0 has it", "peer peer2: the store has another peer with this name", "is not allowed in a name"} {
		if !strings.Contains(text, want) {
			t.Errorf("refused: %q, want %q", refused, want)
		}
	}
	if p, err := s.ByName(t.Context(), "peer2"); err != nil || p.PublicKey != other.PublicKey || p.Problem != "" {
		t.Errorf("the peer that was added: %+v, %v", p, err)
	}
}

// An import replaces peers only if that is wanted: what is configured, and the byte counts.
func testImportReplaces(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0), Numbered(1))
	same, moved, other := Numbered(0), Numbered(1), Numbered(2)
	same.PersistentKeepalive, same.Seen.RxBytes = 9, 77
	moved.Name, moved.AllowedIPs, moved.Seen = "moved", Prefixes("10.7.0.0/24"), store.Seen{}
	added, replaced, err := s.Import(t.Context(), list(same, moved, other), true, func(_ *store.Peer, err error) { t.Error(err) })
	if added != 1 || replaced != 2 || err != nil {
		t.Errorf("%d added, %d replaced, %v", added, replaced, err)
	}
	if p, err := s.ByKey(t.Context(), same.PublicKey); err != nil || p.PersistentKeepalive != 9 || p.Seen.RxBytes != 77 || p.Seen.Endpoint != same.Seen.Endpoint || p.Problem != "" {
		t.Errorf("the replaced peer is %+v, %v", p, err)
	}
	if p, err := s.ByName(t.Context(), "moved"); err != nil || p.Seen != Numbered(1).Seen || p.Problem != "" {
		t.Errorf("the peer with another name is %+v, %v", p, err)
	}
	heir := Numbered(3)
	heir.Name, heir.AllowedIPs = "peer1", Numbered(1).AllowedIPs
	Add(t, s, heir)
	if p, err := s.ByAddress(t.Context(), heir.AllowedIPs[0].Addr()); err != nil || p.PublicKey != heir.PublicKey {
		t.Errorf("the address that was free again leads to %v, %v", p, err)
	}
}

// An import that ends with an error leaves everything as it was.
func testBrokenImport(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	Add(t, s, Numbered(0))
	broken := errors.New("the file ends here")
	changed := Numbered(0)
	changed.PersistentKeepalive, changed.AllowedIPs = 9, Prefixes("10.7.0.0/24")
	_, _, err := s.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		for p := range list(changed, Numbered(5)) {
			if !yield(p, nil) {
				return
			}
		}
		for i := 10; i < 300; i++ {
			if !yield(Numbered(i), nil) {
				return
			}
		}
		yield(nil, broken)
	}, true, func(_ *store.Peer, err error) { t.Error(err) })
	if !errors.Is(err, broken) {
		t.Errorf("the error of the file: %v", err)
	}
	if p, err := s.ByKey(t.Context(), changed.PublicKey); err != nil || p.PersistentKeepalive != 0 || !slices.Equal(p.AllowedIPs, Numbered(0).AllowedIPs) || p.Problem != "" {
		t.Errorf("the peer that was to be replaced: %+v, %v", p, err)
	}
	for p, err := range s.All(t.Context()) {
		if err != nil || p.Name != "peer0" {
			t.Fatalf("%v is left, %v", p, err)
		}
	}
	Add(t, s, Numbered(5), Numbered(299))
	p := Numbered(6)
	p.AllowedIPs = Prefixes("10.7.0.0/24")
	Add(t, s, p)
}

// An address is found in a network of which many addresses in a row are taken, even if it is
// the only free one.
func testFreeAddressAfterMany(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	if _, _, err := s.Import(t.Context(), NumberedPeers(255), false, func(_ *store.Peer, err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	take := func(n int, network string) (string, error) {
		p := Numbered(n)
		p.AllowedIPs = nil
		if err := s.Add(t.Context(), p, Prefixes(network)); err != nil {
			return "", err
		}
		return p.AllowedIPs[0].String(), nil
	}
	if got, err := take(300, "10.0.0.0/16"); err != nil || got == "10.0.0.0/32" || !Prefixes("10.0.0.0/16")[0].Contains(Prefixes(got)[0].Addr()) {
		t.Errorf("in a larger network: %s, %v", got, err)
	}
	if err := s.Delete(t.Context(), Numbered(77).PublicKey); err != nil {
		t.Fatal(err)
	}
	if got, err := take(301, "10.0.0.0/24"); err != nil || got != "10.0.0.77/32" {
		t.Errorf("in a network with one free address: %s, %v", got, err)
	}
	if got, err := take(302, "10.0.0.0/24"); err == nil {
		t.Errorf("in a full network: %s", got)
	}
}
