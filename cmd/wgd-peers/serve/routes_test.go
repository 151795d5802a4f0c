package serve

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
)

// A fakeTable is a routing table in memory.
type fakeTable struct {
	mu      sync.Mutex
	routes  map[netip.Prefix]bool
	err     error
	changes int
}

func (f *fakeTable) Change(name string, remove, add []netip.Prefix) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.changes++
	for _, p := range remove {
		delete(f.routes, p)
	}
	for _, p := range add {
		f.routes[p] = true
	}
	return nil
}

func (f *fakeTable) Each(name string, yield func(netip.Prefix)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.routes {
		yield(p)
	}
	return f.err
}

// text returns the routes.
func (f *fakeTable) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, p := range slices.SortedFunc(maps.Keys(f.routes), netip.Prefix.Compare) {
		list = append(list, p.String())
	}
	return strings.Join(list, " ")
}

// set replaces the routes, as the kernel or somebody else, and says what changes return.
func (f *fakeTable) set(err error, texts ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes, f.err = map[netip.Prefix]bool{}, err
	for _, text := range texts {
		f.routes[netip.MustParsePrefix(text)] = true
	}
}

// announcing serves with routes from now on.
func (b *bench) announcing(table *fakeTable) {
	b.stop()
	b.server = New(b.store, Options{Lent: 300, Routes: table}, slog.New(slog.NewTextHandler(b.log, nil)), []string{"wg0"}, func(string) Daemon { return b.daemon })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.server.Run(ctx) }()
	b.stop = func() { cancel(); <-ended }
	synctest.Wait()
}

func (b *bench) untilRoutes(table *fakeTable, want string) {
	b.t.Helper()
	took := b.until("the routes are "+want, func() bool { return table.text() == want })
	if took > 2*time.Second {
		b.t.Errorf("the routes were %s after %v", want, took)
	}
}

// The routes are those of the peers that the interface has: also when a peer is changed or
// revoked, when it is returned, and when a prefix moves to another peer.
func TestRoutes(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		table := &fakeTable{}
		table.set(nil)
		b.announcing(table)
		p, q, r := b.add(1), b.add(2), b.add(3)
		b.lend(p)
		b.untilRoutes(table, "10.2.0.1/32")
		b.lend(q)
		b.lend(r)
		b.untilRoutes(table, "10.2.0.1/32 10.2.0.2/32 10.2.0.3/32")
		b.change(p, func(p *store.Peer) {
			p.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.7.0.0/16"), netip.MustParsePrefix("fd00::1/128")}
		})
		b.untilRoutes(table, "10.2.0.2/32 10.2.0.3/32 10.7.0.0/16 fd00::1/128")
		b.revoke(q)
		b.untilRoutes(table, "10.2.0.3/32 10.7.0.0/16 fd00::1/128")
		b.change(p, func(p *store.Peer) { p.AllowedIPs = p.AllowedIPs[:1] })
		b.change(r, func(p *store.Peer) { p.AllowedIPs = append(p.AllowedIPs, netip.MustParsePrefix("fd00::1/128")) })
		b.untilRoutes(table, "10.2.0.3/32 10.7.0.0/16 fd00::1/128")
		b.daemon.current().events <- conf.Event{Kind: conf.PeerReturned, Peer: p.PublicKey}
		b.untilRoutes(table, "10.2.0.3/32 fd00::1/128")
		time.Sleep(time.Minute)
		if got := table.text(); got != "10.2.0.3/32 fd00::1/128" {
			t.Errorf("a minute later: %s", got)
		}
		b.stop()
		if got := table.text(); got != "" {
			t.Errorf("at the end: %s", got)
		}
	})
}

// What a process that was killed has left stays if it is right, all the time, and is removed if
// it is not, when the peers of the interface are known.
func TestStaleRoutes(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		table := &fakeTable{}
		table.set(nil, "10.2.0.1/32", "10.2.0.99/32")
		b.daemon.reading = 5 * time.Second
		b.announcing(table)
		time.Sleep(4 * time.Second)
		if got := table.text(); got != "10.2.0.1/32 10.2.0.99/32" {
			t.Errorf("before the peers are read: %s", got)
		}
		time.Sleep(2 * time.Second)
		b.untilRoutes(table, "10.2.0.1/32")
		if table.changes != 1 {
			t.Errorf("%d changes", table.changes)
		}
	})
}

// The kernel removes the routes of an interface that goes down, and a daemon that ends takes
// its interface with it. The routes come back, and those of peers that are gone do not.
func TestRoutesOfInterfaceThatWasDown(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		table := &fakeTable{}
		table.set(ErrNoInterface)
		b.announcing(table)
		p := b.add(1)
		b.lend(p)
		time.Sleep(time.Minute)
		table.set(nil)
		b.untilRoutes(table, "10.2.0.1/32")
		table.set(nil)
		b.daemon.current().events <- conf.Event{Kind: conf.WentUp}
		b.untilRoutes(table, "10.2.0.1/32")
		b.daemon.stop()
		table.set(ErrNoInterface)
		b.daemon.start()
		table.set(nil)
		time.Sleep(time.Minute)
		if got := table.text(); got != "" {
			t.Errorf("the daemon has no peers, and there are the routes %s", got)
		}
		if strings.Contains(b.log.String(), "routes") {
			t.Errorf("the log has\n%s", b.log)
		}
		table.set(errors.New("the kernel is out of memory"))
		b.lend(p)
		time.Sleep(time.Second)
		table.set(nil)
		b.untilRoutes(table, "10.2.0.1/32")
		if !strings.Contains(b.log.String(), "the kernel is out of memory") {
			t.Errorf("the log has\n%s", b.log)
		}
	})
}

// Any prefix comes back as it was.
func FuzzRoute(f *testing.F) {
	f.Add([]byte{10, 2, 0, 1}, 32, []byte{0xfd, 15: 1}, 64)
	f.Add([]byte{0, 0, 0, 0}, 0, []byte{10: 0xff, 11: 0xff, 12: 10, 15: 1}, 128)
	f.Fuzz(func(t *testing.T, a []byte, bits int, b []byte, bits2 int) {
		x, ok := netip.AddrFromSlice(a)
		y, ok2 := netip.AddrFromSlice(b)
		p, q := netip.PrefixFrom(x, bits), netip.PrefixFrom(y, bits2)
		if !ok || !ok2 || !p.IsValid() || !q.IsValid() {
			return
		}
		var got []netip.Prefix
		eachRoute(routesOf([]netip.Prefix{p, q}), func(r route) { got = append(got, r.prefix()) })
		if !slices.Equal(got, []netip.Prefix{p, q}) {
			t.Errorf("%v %v became %v", p, q, got)
		}
	})
}
