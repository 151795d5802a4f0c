package serve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wgd/cmd/wgd-peers/sqlite"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/key"
)

// A fakeDaemon is a Daemon in memory. It is down until start.
type fakeDaemon struct {
	mu      sync.Mutex
	running *run // nil: it is down
	runs    int
	peers   map[key.Public]conf.PeerStatus
	sets    [][]conf.PeerChange
	refused []conf.Refusal
	limit   uint32
	floor   string                  // the greatest, in hexadecimal digits
	reject  func(conf.Change) error // refuses changes; may be nil
	slow    time.Duration           // that a change takes
	reading time.Duration           // that reading all peers takes
	lose    func() error            // is the answer to a change that was made; may be nil
}

type run struct {
	name   string
	ended  chan struct{}
	wants  chan conf.Want
	events chan conf.Event
}

var errDown = errors.New("wg0: not running")

func newFakeDaemon() *fakeDaemon { return &fakeDaemon{peers: map[key.Public]conf.PeerStatus{}} }

// start starts the daemon, with the peers that it had.
func (d *fakeDaemon) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runs++
	d.running = &run{name: string(rune('A' + d.runs)), ended: make(chan struct{}), wants: make(chan conf.Want, 10000), events: make(chan conf.Event, 10000)}
}

// stop ends the daemon, which forgets its peers.
func (d *fakeDaemon) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.running.ended)
	d.running = nil
	clear(d.peers)
}

func (d *fakeDaemon) current() *run {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running
}

func (d *fakeDaemon) Wants(ctx context.Context) iter.Seq2[conf.Want, error] {
	return reports(ctx, d.current(), conf.Want{Kind: conf.WantsBegin}, func(r *run) chan conf.Want { return r.wants })
}

func (d *fakeDaemon) Events(ctx context.Context) iter.Seq2[conf.Event, error] {
	begin := conf.Event{Kind: conf.EventsBegin}
	r := d.current()
	if r != nil {
		begin.Run = r.name
	}
	return reports(ctx, r, begin, func(r *run) chan conf.Event { return r.events })
}

func reports[E any](ctx context.Context, r *run, first E, from func(*run) chan E) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		var none E
		if r == nil {
			yield(none, errDown)
			return
		}
		for e, more := first, true; more && yield(e, nil); {
			select {
			case e = <-from(r):
			case <-ctx.Done():
				return
			case <-r.ended:
				yield(none, errDown)
				return
			}
		}
	}
}

func (d *fakeDaemon) EachPeer(_ context.Context, f func(*conf.PeerStatus)) error {
	d.mu.Lock()
	if d.running == nil {
		d.mu.Unlock()
		return errDown
	}
	list := slices.Collect(maps.Values(d.peers))
	d.mu.Unlock()
	time.Sleep(d.reading)
	for i := range list {
		f(&list[i])
	}
	return nil
}

func (d *fakeDaemon) Apply(ctx context.Context, c conf.Change) error {
	if err := c.Validate(); err != nil {
		return err
	}
	select {
	case <-time.After(d.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		return errDown
	}
	if d.reject != nil {
		if err := d.reject(c); err != nil {
			return err
		}
	}
	for _, p := range c.Peers {
		if p.Remove {
			delete(d.peers, p.PublicKey)
			continue
		}
		s := d.peers[p.PublicKey]
		s.PublicKey, s.Name, s.PresharedKey, s.PersistentKeepalive = p.PublicKey, *p.Name, p.PresharedKey.Clone(), *p.PersistentKeepalive
		if p.Endpoint != nil {
			s.Endpoint = *p.Endpoint
		}
		if p.Lent != nil {
			s.Lent = *p.Lent
		}
		if p.Stamp != nil {
			s.Stamp = *p.Stamp
		}
		s.AllowedIPs = nil
		for _, a := range p.AllowedIPs {
			s.AllowedIPs = append(s.AllowedIPs, a.Prefix)
		}
		d.peers[p.PublicKey] = s
	}
	if c.LentLimit != nil {
		d.limit = *c.LentLimit
	}
	if c.StampFloor != nil {
		d.floor = max(d.floor, c.StampFloor.String())
	}
	if len(c.Peers) > 0 {
		d.sets = append(d.sets, slices.Clone(c.Peers))
	}
	if d.lose != nil {
		return d.lose()
	}
	return nil
}

func (d *fakeDaemon) Refuse(_ context.Context, r conf.Refusal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		return errDown
	}
	d.refused = append(d.refused, r)
	return nil
}

// ask reports an initiation of a peer.
func (d *fakeDaemon) ask(k key.Public) {
	d.current().wants <- conf.Want{Kind: conf.UnknownPeerKey, Key: k, Endpoint: netip.MustParseAddrPort("192.0.2.9:9")}
}

// hear reports data for no session from an endpoint.
func (d *fakeDaemon) hear(endpoint netip.AddrPort) {
	d.current().wants <- conf.Want{Kind: conf.UnknownSession, Endpoint: endpoint}
}

// calls returns how many handshakes were requested with a peer.
func (d *fakeDaemon) calls(k key.Public) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, set := range d.sets {
		for _, p := range set {
			if p.PublicKey == k && p.Initiate {
				n++
			}
		}
	}
	return n
}

func (d *fakeDaemon) has(k key.Public) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.peers[k]
	return ok
}

func (d *fakeDaemon) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.peers)
}

func (d *fakeDaemon) peer(k key.Public) conf.PeerStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[k]
}

// takeRefused returns the refusals since the last call.
func (d *fakeDaemon) takeRefused() []conf.Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.refused = nil }()
	return d.refused
}

// A faultyStore is a store that fails, or takes its time, when it is told to.
type faultyStore struct {
	store.Store
	mu       sync.Mutex
	err      error
	keyErr   error // of ByKey only
	raiseErr error // of RaiseCeiling only
	deaf     bool  // Watch reports nothing
	delay    time.Duration
	lookUps  map[key.Public]int
	maxNow   int // look-ups at the same time
	now      int
	records  int
	ceiling  time.Time
	raises   int // of the ceiling
}

func (f *faultyStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *faultyStore) failKey(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keyErr = err
}

func (f *faultyStore) lookUpsOf(k key.Public) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookUps[k]
}

func (f *faultyStore) begin(ctx context.Context) error {
	f.mu.Lock()
	f.now++
	f.maxNow = max(f.maxNow, f.now)
	delay, err := f.delay, f.err
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (f *faultyStore) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
}

// ByKey reads before it waits: what it returns may be old.
func (f *faultyStore) ByKey(ctx context.Context, k key.Public) (*store.Peer, error) {
	p, err := f.Store.ByKey(ctx, k)
	f.mu.Lock()
	f.lookUps[k]++
	failure := f.keyErr
	f.mu.Unlock()
	defer f.end()
	if err := errors.Join(f.begin(ctx), failure); err != nil {
		return nil, err
	}
	return p, err
}

// ByEndpoint reads before it waits, too.
func (f *faultyStore) ByEndpoint(ctx context.Context, e netip.AddrPort) (*store.Peer, error) {
	p, err := f.Store.ByEndpoint(ctx, e)
	defer f.end()
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	return p, err
}

func (f *faultyStore) Watch(ctx context.Context, since store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		for c, err := range f.Store.Watch(ctx, since) {
			f.mu.Lock()
			if f.err != nil {
				c, err = store.Changes{}, f.err
			}
			deaf := f.deaf
			f.mu.Unlock()
			if deaf {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (f *faultyStore) Record(ctx context.Context, list []store.Sighting) (int, error) {
	f.mu.Lock()
	err := f.err
	f.records++
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Store.Record(ctx, list)
}

func (f *faultyStore) RaiseCeiling(ctx context.Context, needed, to time.Time) (time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.err, f.raiseErr); err != nil {
		return time.Time{}, err
	}
	ceiling, err := f.Store.RaiseCeiling(ctx, needed, to)
	if !ceiling.Equal(f.ceiling) {
		f.ceiling = ceiling
		f.raises++
	}
	return ceiling, err
}

func (f *faultyStore) Revision(ctx context.Context) (store.Revision, error) {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Store.Revision(ctx)
}

// A bench is a Server with a daemon and a store, in virtual time.
type bench struct {
	t      *testing.T
	store  *faultyStore
	daemon *fakeDaemon
	server *Server
	log    *strings.Builder
	stop   func() // ends the server
}

// within runs a test in virtual time. The daemon is up, and the server has read its peers.
func within(t *testing.T, test func(t *testing.T, b *bench)) {
	path := filepath.Join(t.TempDir(), "peers.db")
	synctest.Test(t, func(t *testing.T) {
		file, err := sqlite.Open(t.Context(), path, true)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		b := &bench{t: t, store: &faultyStore{Store: file, lookUps: map[key.Public]int{}}, daemon: newFakeDaemon(), log: &strings.Builder{}}
		b.daemon.start()
		b.serve()
		defer func() { b.stop() }()
		test(t, b)
	})
}

// serve starts a server.
func (b *bench) serve() {
	log := slog.New(slog.NewTextHandler(b.log, nil))
	b.server = New(b.store, Options{Lent: 300, LentLimit: 1000}, log, []string{"wg0"}, func(string) Daemon { return b.daemon })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.server.Run(ctx)
	}()
	b.stop = func() { cancel(); <-ended }
	synctest.Wait()
}

// peer returns a peer, which need not be in the store.
func peer(n byte) *store.Peer {
	return &store.Peer{
		Name: fmt.Sprint("peer", n), PublicKey: key.NewPrivate(&[32]byte{1: n + 1}).Public(), PresharedKey: key.NewPreshared(&[32]byte{n + 1}),
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, 0, n}), 32)}, PersistentKeepalive: 25,
	}
}

// add adds a peer to the store.
func (b *bench) add(n byte) *store.Peer {
	b.t.Helper()
	p := peer(n)
	if err := b.store.Add(b.t.Context(), p, nil); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// change changes a peer in the store.
func (b *bench) change(p *store.Peer, f func(*store.Peer)) {
	b.t.Helper()
	if err := b.store.Update(b.t.Context(), p.PublicKey, func(p *store.Peer) error { f(p); return nil }); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) revoke(p *store.Peer) {
	b.t.Helper()
	b.change(p, func(p *store.Peer) { p.Revoked = time.Now() })
}

// until waits until something is so, and reports how long it took, at most a minute.
func (b *bench) until(what string, so func() bool) time.Duration {
	b.t.Helper()
	begin := time.Now()
	for !so() {
		if time.Since(begin) > time.Minute {
			b.t.Fatalf("not within a minute: %s\n%s", what, b.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

// lend has the daemon ask for a peer, and waits until it has it.
func (b *bench) lend(p *store.Peer) {
	b.t.Helper()
	b.daemon.ask(p.PublicKey)
	b.until(p.Name+" is lent", func() bool { return b.daemon.has(p.PublicKey) })
}

func refusal1(k key.Public, d time.Duration) conf.Refusal { return conf.Refusal{Key: k, For: d} }

var errRejected = &uapi.Error{Errno: uapi.EINVAL, Sentence: "no"}
