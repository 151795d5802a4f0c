package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/sys/link"
	"wgd/internal/sys/link/linktest"
	"wgd/internal/wire"
)

var (
	outer77 = netip.MustParseAddr("192.0.2.77")
	outer78 = netip.MustParseAddr("192.0.2.78")
	gateway = netip.MustParseAddr("192.0.2.254")
)

// kernel sets the Routes of a World.
func kernel(r *linktest.Routes) func(*World) { return func(w *World) { w.Routes = r } }

// constant returns an answer function: every source is local, no entry matches, and
// the answer to any other question is route.
func constant(route link.Route) func(link.Question) link.Route {
	return func(q link.Question) link.Route {
		if q.Remote.Port() == 1 {
			return link.Route{Found: true, Local: true}
		}
		if q.Entry {
			return link.Route{}
		}
		return route
	}
}

// A52: the sticky source is kept while the route to the peer stays the same, and forgotten
// when that changes: when a better route with another source appears, when the gateway
// changes, when the address is gone. Changes elsewhere have no effect.
func TestSourceFollowsTheRoute(t *testing.T) {
	// The route leaves by interface 1, from a's first address; b sends to its second one.
	first := link.Route{Found: true, Interface: 1, Source: outer(1), Gateway: gateway}
	other := netip.MustParsePrefix("198.51.100.0/24")
	for _, c := range []struct {
		name    string
		then    func(link.Question) link.Route
		changed netip.Prefix
		kept    bool
	}{
		{"the same route", constant(first), link.AllIPv4, true},
		{"another gateway", constant(link.Route{Found: true, Interface: 1, Source: outer(1), Gateway: outer78}), link.AllIPv4, false},
		{"another interface", constant(link.Route{Found: true, Interface: 2, Source: outer(1), Gateway: gateway}), link.AllIPv4, false},
		{"another source", constant(link.Route{Found: true, Interface: 1, Source: outer78, Gateway: gateway}), link.AllIPv4, false},
		{"the sticky source", constant(link.Route{Found: true, Interface: 2, Source: outer77}), link.AllIPv4, true},
		{"no route", constant(link.Route{}), link.AllIPv4, true},
		{"another route, and the change was elsewhere", constant(link.Route{Found: true, Interface: 2}), other, true},
		{"the address is gone", func(q link.Question) link.Route {
			if q.Remote.Port() == 1 {
				return link.Route{Found: true, Interface: 2}
			}
			return first
		}, link.AllIPv4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			routes := linktest.NewRoutes()
			routes.Answer(constant(first))
			_, a, b := pair(t, kernel(routes))
			toSecondAddress(t, a, b)
			asked := routes.Asked()
			for range 3 {
				a.deliver(b, "nothing changes")
			}
			if n := routes.Asked() - asked; n != 0 {
				t.Errorf("%d questions though no route has changed", n)
			}
			routes.Answer(c.then)
			forgot := a.conn().Forgot()
			if a.RoutesChanged(c.changed); a.conn().Forgot() == forgot {
				t.Error("Forget of the sockets was not called (B61)")
			}
			a.deliver(b, "sent as before; then the route is looked up")
			if c.changed == other {
				time.Sleep(20 * time.Millisecond)
			} else {
				eventually(t, "the route is looked up", func() bool { return !a.peer().NeedsRoute(a.peer().Location()) })
			}
			if kept := a.peer().Endpoint().Source == outer77; kept != c.kept {
				t.Errorf("the source is %v", a.peer().Endpoint().Source)
			}
			if c.kept {
				return
			}
			// Data that still arrives at the old address does not restore it.
			b.deliver(a, "to the old address")
			a.deliver(b, "from the new one")
			if got := b.status(a).Endpoint.Addr(); got != outer(1) {
				t.Errorf("b sends to %v", got)
			}
			b.deliver(a, "to the new one")
			if a.peer().Endpoint().Source != outer(1) {
				t.Errorf("a sends from %v", a.peer().Endpoint().Source)
			}
		})
	}
}

// toSecondAddress makes b send to a's second address.
func toSecondAddress(t *testing.T, a, b *site) {
	t.Helper()
	a.host.AddAddr(outer77)
	at := netip.AddrPortFrom(outer77, a.addr().Port())
	to := a.asPeer()
	to.Endpoint = &at
	b.apply(peers(to))
	b.deliver(a, "to the second address")
	a.deliver(b, "from the second address")
	if source := a.peer().Endpoint().Source; source != outer77 {
		t.Fatalf("a sends from %v", source)
	}
	eventually(t, "the route is known", func() bool { return a.peer().Location().Route() != nil })
}

// A52, A53: the question has no source, but our port and mark. When these change, the
// route is looked up again.
func TestQuestion(t *testing.T) {
	routes := linktest.NewRoutes()
	var mu sync.Mutex
	var seen []link.Question
	routes.Answer(func(q link.Question) link.Route {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, q)
		return link.Route{Found: true, Interface: 1, Source: outer(1)}
	})
	_, a, b := pair(t, kernel(routes))
	expect := func(port uint16, mark uint32) {
		t.Helper()
		want := link.Question{Remote: b.addr(), Port: port, Mark: mark}
		eventually(t, fmt.Sprintf("%+v", want), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(seen, want)
		})
	}
	a.deliver(b, "hello")
	expect(a.Status().ListenPort, 0)
	mark := uint32(7)
	a.apply(conf.Change{FirewallMark: &mark})
	a.deliver(b, "marked")
	expect(a.Status().ListenPort, 7)
	port := uint16(51999)
	a.apply(conf.Change{ListenPort: &port})
	a.deliver(b, "from another port")
	expect(51999, 7)
}

// Data is sent while the kernel is slow to answer, or refuses. (A52)
func TestDataDoesNotWaitForRoutes(t *testing.T) {
	routes := linktest.NewRoutes()
	_, a, b := pair(t, kernel(routes))
	a.deliver(b, "hello")
	slow, begun := make(chan struct{}), make(chan struct{}, 100)
	var end sync.Once
	release := func() { end.Do(func() { close(slow) }) }
	t.Cleanup(release)
	routes.Answer(func(link.Question) link.Route {
		begun <- struct{}{}
		<-slow
		return link.Route{Found: true, Interface: 1}
	})
	a.RoutesChanged(link.AllIPv4)
	a.deliver(b, "the first")
	<-begun
	for range 100 {
		a.deliver(b, "meanwhile")
		b.deliver(a, "meanwhile")
	}
	release()
	routes.Fail(errors.New("no memory"))
	a.RoutesChanged(link.AllIPv4)
	for range 10 {
		a.deliver(b, "without an answer")
	}
	routes.Fail(nil)
	eventually(t, "the route is looked up again", func() bool {
		a.deliver(b, "again")
		return !a.peer().NeedsRoute(a.peer().Location())
	})
}

// entries answers with best, and with back if the datagram must leave by the interface
// that received.
func entries(best, back link.Route) func(link.Question) link.Route {
	return func(q link.Question) link.Route {
		switch {
		case q.Remote.Port() == 1:
			return link.Route{Found: true, Local: true}
		case q.Entry && q.Interface != 0:
			return back
		case q.Entry:
			return best
		}
		return link.Route{Found: true, Interface: best.Interface, Source: outer78}
	}
}

// A52: the first reply leaves by the interface that received if the routing table has
// an entry by it that is as good as the best one. Otherwise it leaves by the route: also
// if there is only a default route by that interface, and if the kernel would look for
// a neighbour there.
func TestFirstReplyLeavesByTheRightInterface(t *testing.T) {
	best := link.Route{Found: true, Interface: 9, Table: 254, Bits: 24, Running: true}
	back := func(change func(*link.Route)) link.Route {
		r := link.Route{Found: true, Interface: 1, Table: 254, Bits: 24, Running: true}
		change(&r)
		return r
	}
	for _, c := range []struct {
		name       string
		best, back link.Route
		pinned     bool
	}{
		{"as good", best, back(func(*link.Route) {}), true},
		{"one of several next hops", best, back(func(r *link.Route) { r.Interface, r.Running = 0, false }), true},
		{"none", best, link.Route{}, false},
		{"a default route", best, back(func(r *link.Route) { r.Bits = 0 }), false},
		{"another table", best, back(func(r *link.Route) { r.Table = 7 }), false},
		{"not running", best, back(func(r *link.Route) { r.Running = false }), false},
		{"no route from the source", link.Route{}, back(func(*link.Route) {}), false},
		{"the route from the source leaves by it anyway", back(func(*link.Route) {}), back(func(*link.Route) {}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			routes := linktest.NewRoutes()
			routes.Answer(entries(c.best, c.back))
			if c.best.Interface == 1 { // without a source, by another one
				routes.Answer(func(q link.Question) link.Route {
					if !q.Entry && q.Remote.Port() != 1 {
						return link.Route{Found: true, Interface: 9, Source: outer78}
					}
					return entries(c.best, c.back)(q)
				})
			}
			_, a, b := pair(t, kernel(routes))
			b.apply(peers(a.asPeer())) // with the endpoint, so that b initiates
			var by []uint32
			var mu sync.Mutex
			a.conn().OnSend(func(train *batch.Batch) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				by = append(by, train.Remote.SourceIndex)
				return -1, nil
			})
			b.deliver(a, "hello")
			a.deliver(b, "hello")
			mu.Lock()
			defer mu.Unlock()
			want := uint32(0)
			if c.pinned {
				want = 1
			}
			for i, got := range by {
				if got != want {
					t.Errorf("datagram %d leaves by %d, want %d: %v", i, got, want, by)
				}
			}
			// A reply to an unknown sender leaves by the same interface.
			if got := a.routes.replyTo(wire.NewEndpoint(b.addr(), outer(1), 1)).SourceIndex; got != want {
				t.Errorf("the reply to an unknown sender leaves by %d", got)
			}
			if got := a.routes.replyTo(wire.NewEndpoint(b.addr(), outer78, 1)).SourceIndex; got != 0 {
				t.Errorf("the reply from another address leaves by %d", got)
			}
		})
	}
}

// routeBench has a routes, peers whose routes are known, and a clock that the test sets.
type routeBench struct {
	*routes
	kernel *linktest.Routes
	now    clock.Time
	peers  []*peer.Peer
}

func newRouteBench(n int) *routeBench {
	c := &routeBench{kernel: linktest.NewRoutes(), now: clock.Time(time.Hour)}
	c.kernel.Answer(constant(link.Route{Found: true, Interface: 1, Source: outer(1)}))
	common := peer.NewCommon(peer.Timing{})
	c.routes = newRoutes(c.kernel, common, func() clock.Now { return clock.Now{Mono: c.now} }, new(atomic.Uint32))
	c.routes.sweep.inUse = func() []*peer.Peer { return nil }
	c.routes.sweep.changed = func([]*peer.Peer, clock.Time, bool) {}
	for i := range n {
		p := peer.New(common)
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 7)
		p.SetEndpoint(wire.NewEndpoint(at, outer(1), 1))
		c.peers = append(c.peers, p)
		c.ensure(p, p.Endpoint())
	}
	return c
}

// sends requests the routes as one batch to each peer would.
func (c *routeBench) sends() {
	for _, p := range c.peers {
		if p.NeedsRoute(p.Location()) {
			c.put(p)
		}
	}
}

// flap changes the route to prefix five times a second for twelve seconds, while packets
// are sent to every peer a hundred times a second. It returns the number of questions,
// and for how many peers the route is known at the end.
func (c *routeBench) flap(prefix netip.Prefix) (questions, settled int) {
	before := c.kernel.Asked()
	var a allowance
	var free clock.Time // when the goroutine's pause ends
	begin := c.now
	for c.now < begin.Add(12*time.Second) {
		if c.now.Sub(begin)%(200*time.Millisecond) == 0 {
			c.changed(prefix)
		}
		c.sends()
		for next := c.now.Add(10 * time.Millisecond); c.now < next; c.now = c.now.Add(time.Millisecond) {
			if free <= c.now && len(c.queue) > 0 {
				free = c.now.Add(c.step(&a, <-c.queue))
			}
		}
	}
	for _, p := range c.peers {
		if !p.NeedsRoute(p.Location()) {
			settled++
		}
	}
	return c.kernel.Asked() - before, settled
}

// A route that flaps causes questions only about peers under its prefix to which packets
// are sent, and no more than the allowance. When it stops, all routes are soon known.
// (A52; 10,000 peers, five changes a second)
func TestFlappingRoute(t *testing.T) {
	c := newRouteBench(10000)
	if n, settled := c.flap(netip.MustParsePrefix("198.51.100.0/24")); n != 0 || settled != len(c.peers) {
		t.Errorf("a route to elsewhere: %d questions", n)
	}
	if n, _ := c.flap(netip.MustParsePrefix("10.0.0.0/24")); n < 256 || n > 61*2*256 {
		t.Errorf("a route to 256 peers: %d questions", n)
	}
	max := questionBurst + int(12*time.Second/questionInterval) + 2*link.MaxQuestions
	n, _ := c.flap(link.AllIPv4)
	t.Logf("a route to all peers: %d questions", n)
	if n < 2*len(c.peers) || n > max {
		t.Errorf("a route to all peers: %d questions, want at most %d", n, max)
	}
	peers := c.peers
	c.peers = nil
	for len(c.queue) > 0 { // left over
		c.step(new(allowance), <-c.queue)
	}
	if n, _ := c.flap(link.AllIPv4); n > 0 {
		t.Errorf("nothing is sent: %d questions", n)
	}
	c.peers = peers[:100]
	if n, settled := c.flap(link.AllIPv4); n > 61*2*100 || settled != 100 {
		t.Errorf("something is sent to 100 of them: %d questions, %d routes are known", n, settled)
	}
	c.peers = peers
	for range 500 { // five seconds without a change
		c.now = c.now.Add(10 * time.Millisecond)
		c.sends()
		for range 10 {
			if len(c.queue) > 0 {
				c.step(new(allowance), <-c.queue)
			}
		}
	}
	for _, p := range c.peers {
		if p.NeedsRoute(p.Location()) {
			t.Fatal("a peer was forgotten")
		}
	}
}

// A peer that finds the queue full is queued with its next batch.
func TestFullQueueOfRoutes(t *testing.T) {
	c := newRouteBench(routeQueue + 100)
	c.changed(link.AllIPv4)
	c.sends()
	c.sends()
	if len(c.queue) != routeQueue {
		t.Fatalf("%d are in the queue", len(c.queue))
	}
	for len(c.queue) > 0 {
		c.step(new(allowance), <-c.queue)
	}
	c.sends()
	if len(c.queue) != 100 {
		t.Errorf("%d are in the queue, want the 100 that found it full", len(c.queue))
	}
}

// Peers with the same route share it.
func TestPeersShareARoute(t *testing.T) {
	c := newRouteBench(1000)
	for _, p := range c.peers {
		if p.Location().Route() != c.peers[0].Location().Route() {
			t.Fatal("peers with the same route do not share it")
		}
	}
	for i := range 3 * maxKnownRoutes {
		c.kernel.Answer(constant(link.Route{Found: true, Interface: uint32(i)}))
		c.changed(link.AllIPv4)
		c.ensure(c.peers[0], wire.Endpoint{})
		c.step(new(allowance), <-c.queue)
	}
	if len(c.known) > maxKnownRoutes {
		t.Errorf("%d routes are kept, want at most %d", len(c.known), maxKnownRoutes)
	}
}

// A sticky source that is set while the route changes may be that of the old route: it
// is chosen anew, unless it is that of the new one. (A52)
func TestSourceSetDuringAChange(t *testing.T) {
	c := newRouteBench(1)
	p := c.peers[0]
	for _, x := range []struct {
		source netip.Addr
		kept   bool
	}{{outer77, false}, {outer(1), true}} {
		p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort("10.9.9.9:7"), x.source, 1))
		c.changed(link.AllIPv4)
		c.ensure(p, p.Endpoint())
		if kept := p.Endpoint().Source.IsValid(); kept != x.kept {
			t.Errorf("from %v: kept %v", x.source, kept)
		}
	}
	p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort("10.9.9.8:7"), outer77, 1))
	if c.ensure(p, p.Endpoint()); !p.Endpoint().Source.IsValid() {
		t.Error("the source was forgotten, but nothing has changed")
	}
}

// A change of the route may be noticed only after the next lookup. A sticky source that
// was set shortly before is chosen anew all the same. (A52)
func TestSourceSetBeforeAChangeIsNoticed(t *testing.T) {
	c := newRouteBench(1)
	p := c.peers[0]
	remote := p.Endpoint().Remote
	p.SetEndpoint(wire.NewEndpoint(remote, outer77, 1))
	if c.ensure(p, p.Endpoint()); !p.Endpoint().Source.IsValid() {
		t.Error("the source was forgotten, but the route is the same")
	}
	p.SetEndpoint(wire.NewEndpoint(remote, outer78, 1))
	p.SetEndpoint(wire.NewEndpoint(remote, outer77, 2)) // again, before a lookup
	c.kernel.Answer(constant(link.Route{Found: true, Interface: 2, Source: outer(1)}))
	if c.ensure(p, p.Endpoint()); p.Endpoint().Source.IsValid() {
		t.Error("the source was kept, but the route has changed")
	}
	c.changed(link.AllIPv4)
	if c.ensure(p, p.Endpoint()); p.Endpoint().Source.IsValid() {
		t.Error("the source came back")
	}
}

// With another firewall mark, the route to every peer may be another one. (A52, A53)
func TestMarkChangesRoutes(t *testing.T) {
	c := newRouteBench(3)
	for _, change := range []struct {
		mark  uint32
		needs bool
	}{{0, false}, {7, true}, {7, false}, {0, true}} {
		c.setMark(change.mark)
		for i, p := range c.peers {
			if p.NeedsRoute(p.Location()) != change.needs {
				t.Errorf("mark %d, peer %d: the route must be looked up: %v", change.mark, i, !change.needs)
			}
		}
		c.lookUp(c.peers)
	}
}
