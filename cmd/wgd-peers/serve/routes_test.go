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
	refused string // a prefix that cannot be added; "": there is none
	missed  int    // how many routes are not listed the next times
	changes int
	dumps   int
}

func (f *fakeTable) Change(name string, remove, add []netip.Prefix) (failed []netip.Prefix, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(f.err, ErrNoInterface):
		return nil, f.err
	case f.err != nil:
		return slices.Concat(remove, add), f.err
	}
	if len(remove)+len(add) > 0 {
		f.changes++
	}
	for _, p := range remove {
		delete(f.routes, p)
	}
	for _, p := range add {
		if p.String() == f.refused {
			failed, err = append(failed, p), errors.New("IPv6 is disabled on the interface")
			continue
		}
		f.routes[p] = true
	}
	return failed, err
}

func (f *fakeTable) Each(name string, yield func(netip.Prefix)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dumps++
	for p := range f.routes {
		if f.missed > 0 {
			f.missed--
			continue
		}
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

// takeCounts returns how often routes were changed and listed since the last call.
func (f *fakeTable) takeCounts() (changes, dumps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changes, dumps = f.changes, f.dumps
	f.changes, f.dumps = 0, 0
	return changes, dumps
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
		table.set(nil)
		b.daemon.current().events <- conf.Event{Kind: conf.EventsMissed} // WentUp is one of them
		b.untilRoutes(table, "10.2.0.1/32")
		table.set(nil, "10.2.0.99/32") // somebody has changed them
		time.Sleep(comparePause)
		b.untilRoutes(table, "10.2.0.1/32")
		b.daemon.stop()
		table.set(ErrNoInterface)
		b.daemon.start()
		table.set(nil)
		time.Sleep(time.Minute)
		if got := table.text(); got != "" {
			t.Errorf("the daemon has no peers, and there are the routes %s", got)
		}
		synctest.Wait()
		if strings.Contains(b.log.String(), "routes") {
			t.Errorf("the log has\n%s", b.log)
		}
		table.set(errors.New("the kernel is out of memory"))
		b.lend(p)
		time.Sleep(routesPause / 2)
		table.set(nil)
		b.untilRoutes(table, "10.2.0.1/32")
		synctest.Wait()
		if !strings.Contains(b.log.String(), "the kernel is out of memory") {
			t.Errorf("the log has\n%s", b.log)
		}
	})
}

// The end removes all routes, also those that a list has missed, and one that a process that was
// killed has left.
func TestRoutesAtTheEnd(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		table := &fakeTable{}
		table.set(nil)
		b.announcing(table)
		b.lend(b.add(1))
		b.lend(b.add(2))
		b.untilRoutes(table, "10.2.0.1/32 10.2.0.2/32")
		table.set(nil, "10.2.0.1/32", "10.2.0.2/32", "10.2.0.98/32", "10.2.0.99/32")
		table.mu.Lock()
		table.missed = 5
		table.mu.Unlock()
		b.stop()
		if got := table.text(); got != "" {
			t.Errorf("there are %s", got)
		}
	})
}

// A route that the kernel refuses for good is tried again, less and less often, without a list
// of all routes, and those of other peers come and go as fast as without it. It comes when the
// kernel takes it.
func TestRouteIsRefused(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		table := &fakeTable{refused: "fd00::1/128"}
		table.set(nil)
		b.announcing(table)
		p, q := b.add(1), b.add(2)
		b.change(p, func(p *store.Peer) { p.AllowedIPs = append(p.AllowedIPs, netip.MustParsePrefix("fd00::1/128")) })
		b.lend(p)
		b.untilRoutes(table, "10.2.0.1/32")
		table.takeCounts()
		time.Sleep(4 * time.Minute)
		if changes, dumps := table.takeCounts(); changes < 6 || changes > 10 || dumps != 0 {
			t.Errorf("in four minutes it was tried %d times, and all routes were listed %d times", changes, dumps)
		}
		b.lend(q)
		b.untilRoutes(table, "10.2.0.1/32 10.2.0.2/32")
		b.revoke(q)
		b.untilRoutes(table, "10.2.0.1/32")
		synctest.Wait()
		if !strings.Contains(b.log.String(), "IPv6 is disabled on the interface") {
			t.Errorf("the log has\n%s", b.log)
		}
		table.mu.Lock()
		table.refused = ""
		table.mu.Unlock()
		if took := b.until("it is taken", func() bool { return table.text() == "10.2.0.1/32 fd00::1/128" }); took > longRoutesPause {
			t.Errorf("it came after %v", took)
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
