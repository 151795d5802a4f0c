package etcd

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v3"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// slowly returns n peers after those that were given, then says so, and waits.
func slowly(n int, said chan<- struct{}, wait <-chan struct{}, first ...*store.Peer) func(yield func(*store.Peer, error) bool) {
	return func(yield func(*store.Peer, error) bool) {
		for _, p := range first {
			if !yield(p, nil) {
				return
			}
		}
		for i := range n {
			if !yield(storetest.Numbered(1000+i), nil) {
				return
			}
		}
		close(said)
		<-wait
		yield(storetest.Numbered(5), nil)
	}
}

// revoke ends all leases, as time does when processes are killed.
func revoke(t *testing.T, k *client.Client) {
	t.Helper()
	leases, err := k.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases.Leases {
		if _, err := k.Revoke(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// While an import runs, nobody sees anything of it, and others can work. When it is complete,
// a watch reports it.
func TestImportIsHidden(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, other := c.open(t, address), c.open(t, address)
	storetest.Add(t, s, storetest.Numbered(0))
	w := watch(t, other)
	changed := storetest.Numbered(0)
	changed.Name = "changed"
	said, wait, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		added, replaced, err := s.Import(t.Context(), slowly(1000, said, wait, changed), true, func(_ *store.Peer, err error) { t.Error(err) })
		if err == nil && (added != 1001 || replaced != 1) {
			t.Errorf("%d added, %d replaced", added, replaced)
		}
		done <- err
	}()
	<-said
	for p, err := range other.All(t.Context()) {
		if err != nil || p.Name != "peer0" || p.Problem != "" {
			t.Errorf("while the import runs: %+v, %v", p, err)
		}
	}
	if p, err := other.ByName(t.Context(), "changed"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the new name is found before: %v, %v", p, err)
	}
	var refusal store.Refusal
	if err := other.Update(t.Context(), changed.PublicKey, func(*store.Peer) error { return nil }); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "an import that is not complete") {
		t.Errorf("an update of a peer that is being replaced: %v", err)
	}
	taken := storetest.Numbered(2)
	taken.Name = "peer1000"
	if err := other.Add(t.Context(), taken, nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "an import that is not complete has it") {
		t.Errorf("a name that the import has: %v", err)
	}
	taken.Name = "peer0"
	if err := other.Add(t.Context(), taken, nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "another peer with this name") {
		t.Errorf("the name that is valid as long as the import runs: %v", err)
	}
	storetest.Add(t, other, storetest.Numbered(3))
	w.within(t, 5*time.Second, 3)
	w.mutex.Lock()
	if len(w.keys) != 1 || w.lost != 0 {
		t.Errorf("while the import runs, the watch has reported %d peers, and lost changes %d times", len(w.keys), w.lost)
	}
	w.mutex.Unlock()
	close(wait)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p, err := other.ByName(t.Context(), "changed"); err != nil || p.PublicKey != changed.PublicKey || p.Problem != "" {
		t.Errorf("after the import: %+v, %v", p, err)
	}
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		w.mutex.Lock()
		lost := w.lost
		w.mutex.Unlock()
		if lost > 0 {
			break
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the watch has not reported that the import is complete")
		}
	}
	w.within(t, 5*time.Second, 0)
}

// An import whose process is killed leaves nothing that anybody sees. Others take its names
// and addresses, and the next import removes the rest.
func TestKilledImport(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	killed, s, k := c.open(t, address), c.open(t, address), c.foreign(t)
	before := storetest.Numbered(0)
	before.Seen = store.Seen{}
	storetest.Add(t, s, before)
	kept := len(keysBelow(t, k, prefixOf(address)))
	changed := storetest.Numbered(0)
	changed.Name, changed.AllowedIPs = "changed", storetest.Prefixes("10.7.0.0/24")
	said, wait, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, _, err := killed.Import(t.Context(), slowly(1000, said, wait, changed), true, func(_ *store.Peer, err error) { t.Error(err) })
		done <- err
	}()
	<-said
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	close(wait)
	if err := <-done; err == nil {
		t.Fatal("an import without a connection is complete")
	}
	revoke(t, k)
	if n := len(keysBelow(t, k, prefixOf(address))); n < kept+1000 {
		t.Fatalf("only %d keys: nothing was interrupted", n)
	}
	for p, err := range s.All(t.Context()) {
		if err != nil || p.Name != "peer0" || p.Problem != "" {
			t.Errorf("after the process was killed: %+v, %v", p, err)
		}
	}
	taken := storetest.Numbered(1001)
	taken.Seen = store.Seen{}
	heir := storetest.Numbered(2)
	heir.Name, heir.Seen = "peer1000", store.Seen{}
	storetest.Add(t, s, taken, heir)
	if err := s.Update(t.Context(), before.PublicKey, func(p *store.Peer) error { p.PersistentKeepalive = 7; return nil }); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Import(t.Context(), storetest.NumberedPeers(0), true, nil); err != nil {
		t.Fatal(err)
	}
	for _, public := range []*store.Peer{before, taken, heir} {
		if p, err := s.ByKey(t.Context(), public.PublicKey); err != nil || p.Problem != "" || p.Seen != (store.Seen{}) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if got := keysBelow(t, k, prefixOf(address)); len(got) != kept+4+4+1 { // and imported
		t.Errorf("%d keys are left: %.300q", len(got), got)
	}
}

// An import that others take for abandoned, because its lease has expired, changes nothing.
func TestExpiredImport(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k := c.open(t, address), c.foreign(t)
	storetest.Add(t, s, storetest.Numbered(0))
	kept := len(keysBelow(t, k, prefixOf(address)))
	for _, n := range []int{10, 1000} { // the lease expires before the first batch, or in the middle
		said, wait, done := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			_, _, err := s.Import(t.Context(), slowly(n, said, wait), true, func(_ *store.Peer, err error) { t.Error(err) })
			done <- err
		}()
		<-said
		revoke(t, k)
		close(wait)
		if err := <-done; err == nil || !strings.Contains(err.Error(), "the import was given up: nothing was changed") {
			t.Errorf("%d peers: %v", n, err)
		}
		if got := keysBelow(t, k, prefixOf(address)); len(got) != kept {
			t.Errorf("%d keys are left of %d: %.300q", len(got), kept, got)
		}
	}
}

// A peer with more allowed IPs than etcd takes in one transaction is refused, and the others
// are imported.
func TestImportOfLargePeer(t *testing.T) {
	c := sharedCluster(t)
	s := c.open(t, c.address())
	large := storetest.Numbered(70)
	for i := range 200 {
		large.AllowedIPs = append(large.AllowedIPs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 32))
	}
	var refused []string
	added, _, err := s.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		for i := range 150 {
			p := storetest.Numbered(i)
			if i == 70 {
				p = large
			}
			if !yield(p, nil) {
				return
			}
		}
	}, false, func(_ *store.Peer, err error) { refused = append(refused, err.Error()) })
	if added != 149 || err != nil || len(refused) != 1 || !strings.Contains(refused[0], "peer peer70: the peer has more allowed IPs than etcd takes in one transaction") {
		t.Errorf("%d added, %q refused, %v", added, refused, err)
	}
	if _, err := s.ByKey(t.Context(), large.PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the large peer: %v", err)
	}
}

// An import that fails leaves also a peer as it was whose address another peer has.
func TestBrokenImportOfProblem(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, k := c.open(t, address), c.foreign(t)
	storetest.Add(t, s, storetest.Numbered(0), storetest.Numbered(1))
	put(t, k, prefixOf(address)+"peers/"+encoded(0), `{"name": "peer0", "allowed_ips": ["10.0.0.1/32"]}`)
	changed, broken := storetest.Numbered(0), errors.New("the file ends here")
	changed.PersistentKeepalive = 9
	_, _, err := s.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		for i := range 300 {
			p := storetest.Numbered(10 + i)
			if i == 0 {
				p = changed
			}
			if !yield(p, nil) {
				return
			}
		}
		yield(nil, broken)
	}, true, func(_ *store.Peer, err error) { t.Error(err) })
	if !errors.Is(err, broken) {
		t.Fatalf("the error of the file: %v", err)
	}
	if p, err := s.ByKey(t.Context(), changed.PublicKey); err != nil || p.PersistentKeepalive != 0 || !strings.Contains(p.Problem, "leads to another peer") {
		t.Errorf("it is %+v, %v", p, err)
	}
	if p, err := s.ByKey(t.Context(), storetest.Numbered(1).PublicKey); err != nil || p.Problem != "" {
		t.Errorf("the other peer is %+v, %v", p, err)
	}
	if keys := keysBelow(t, k, prefixOf(address)+"pending/"); len(keys) > 0 {
		t.Errorf("%q are left", keys)
	}
}

// An import whose lease has expired writes nothing more, and nothing of what it writes is ever
// valid, even after another import has removed what it had written.
func TestSweptImport(t *testing.T) {
	c := sharedCluster(t)
	address := c.address()
	s, other, k := c.open(t, address), c.open(t, address), c.foreign(t)
	w := watch(t, other)
	_, _, err := s.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		for i := range 1500 {
			if i == 1000 {
				revoke(t, k)
				if _, _, err := other.Import(t.Context(), storetest.NumberedPeers(0), true, nil); err != nil {
					t.Error(err)
				}
			}
			if !yield(storetest.Numbered(i), nil) {
				return
			}
		}
	}, true, func(_ *store.Peer, err error) { t.Error(err) })
	if err == nil || !strings.Contains(err.Error(), "the import was given up: nothing was changed") {
		t.Errorf("%v", err)
	}
	storetest.Add(t, other, storetest.Numbered(2000))
	w.within(t, 5*time.Second, 2000)
	response, err := k.Get(t.Context(), prefixOf(address)+"peers/", client.WithPrefix(), client.WithKeysOnly())
	if err != nil || len(response.Kvs) != 1 {
		t.Fatalf("%d peers are left, %v", len(response.Kvs), err)
	}
	events := k.Watch(t.Context(), prefixOf(address)+"peers/", client.WithPrefix(), client.WithRev(1))
	swept, late := map[string]bool{}, 0
	for revision := int64(0); revision < response.Kvs[0].ModRevision; {
		r, open := <-events
		if !open || r.Err() != nil {
			t.Fatalf("the watch has ended: %v", r.Err())
		}
		for _, e := range r.Events {
			key := string(e.Kv.Key)
			revision = e.Kv.ModRevision
			switch {
			case e.Type == client.EventTypeDelete:
				swept[key] = true
			case len(swept) > 0 && !strings.HasSuffix(key, encoded(2000)):
				late++
			}
		}
	}
	if len(swept) == 0 || late > 0 {
		t.Errorf("%d peers were removed, and %d written after that", len(swept), late)
	}
}

// A leader that is killed during an import does not stop it.
func TestImportWithoutLeader(t *testing.T) {
	c := newCluster(t, plain)
	s := c.open(t, c.address())
	const n = 3000
	killed := make(chan struct{})
	added, _, err := s.Import(t.Context(), func(yield func(*store.Peer, error) bool) {
		for i := range n {
			if i == n/3 {
				go func() { defer close(killed); c.stop(c.leader()) }()
			}
			if !yield(storetest.Numbered(i), nil) {
				return
			}
		}
	}, false, func(_ *store.Peer, err error) { t.Error(err) })
	<-killed
	if added != n || err != nil {
		t.Fatalf("%d were added, %v", added, err)
	}
	count := 0
	for p, err := range s.All(t.Context()) {
		if err != nil || p.Problem != "" {
			t.Fatalf("%+v, %v", p, err)
		}
		count++
	}
	if count != n {
		t.Errorf("%d peers were read, want %d", count, n)
	}
}
