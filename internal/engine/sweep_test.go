package engine

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/sys/link"
	"wgd/internal/sys/link/linktest"
)

// A51, A52: when packets to a peer leave another way after a change of the network, the
// peer is sent a keepalive at once, although there is no traffic. Nothing is sent because
// of other changes.
func TestPeersLearnOfTheChange(t *testing.T) {
	wifi := link.Route{Found: true, Running: true, Interface: 1, Source: outer(1), Gateway: gateway}
	cellular := link.Route{Found: true, Running: true, Interface: 2, Source: outer78}
	silent := wifi
	silent.Running = false
	elsewhere := netip.MustParsePrefix("198.51.100.0/24")
	routes := linktest.NewRoutes()
	routes.Answer(constant(wifi))
	_, a, b := pair(t, kernel(routes))
	unhurried(a)
	a.deliver(b, "hello")
	b.deliver(a, "hello")
	eventually(t, "the route is known", func() bool { return a.peer().Location().Route() != nil })
	for _, c := range []struct {
		name    string
		answer  link.Route
		changed netip.Prefix
		told    bool
	}{
		{"elsewhere", cellular, elsewhere, false},
		{"another address by another interface", cellular, link.AllIPv4, true},
		{"nothing after all", cellular, link.AllIPv4, false},
		{"no route", link.Route{}, link.AllIPv4, false},
		{"the route is back", cellular, link.AllIPv4, true},
		{"back to the first", wifi, link.AllIPv4, true},
		{"its interface is no longer operational", silent, link.AllIPv4, false},
		{"it is again", wifi, link.AllIPv4, true},
	} {
		before, heard := a.peer().LastSent(), b.peer().LastReceived()
		routes.Answer(constant(c.answer))
		a.RoutesChanged(c.changed)
		if c.told {
			eventually(t, c.name+": the peer hears of it", func() bool { return b.peer().LastReceived() > heard })
			continue
		}
		if c.changed != elsewhere {
			eventually(t, c.name+": the route is looked up", func() bool { return !a.peer().NeedsRoute(a.peer().Location()) })
		}
		time.Sleep(20 * time.Millisecond)
		if a.peer().LastSent() != before {
			t.Errorf("%s: something was sent", c.name)
		}
	}
}

// unhurried makes the timers of s so slow that nothing is sent because of them.
func unhurried(s *site) {
	later, end := time.Hour, 24*time.Hour
	s.apply(conf.Change{Tunables: conf.TunablesChange{RekeyTimeout: &later, RekeyAttemptTime: &end, KeepaliveTimeout: &later}})
}

// A handshake message that could not be sent without a network is sent as soon as there
// is one, without waiting for the next attempt.
func TestHandshakeWhenNetworkComes(t *testing.T) {
	routes := linktest.NewRoutes()
	_, a, b := pair(t, kernel(routes))
	unhurried(a)
	var refused atomic.Int64
	a.conn().OnSend(func(*batch.Batch) (int, error) {
		refused.Add(1)
		return 0, syscall.ENETUNREACH
	})
	a.inject(b, "as soon as possible")
	eventually(t, "the socket refuses", func() bool { return refused.Load() > 0 && a.peer().Unsent() })
	a.conn().OnSend(nil)
	routes.Answer(constant(link.Route{Found: true, Running: true, Interface: 1, Source: outer(1)}))
	a.RoutesChanged(link.AllIPv4)
	b.await("as soon as possible")
}

// A39: after suspend, a peer whose session has become too old gets a new one at once,
// although nothing is to be sent.
func TestResumed(t *testing.T) {
	for _, with := range [][]func(*World){nil, {kernel(linktest.NewRoutes())}} { // with routes that are not followed, too
		_, a, b := pair(t, with...)
		a.deliver(b, "hello")
		first := a.status(b).LastHandshake
		b.sleep(time.Second) // for A19
		const slept = 5 * time.Minute
		a.ahead.Add(int64(slept))
		a.Resumed(slept)
		eventually(t, "there is a new session", func() bool { return a.status(b).LastHandshake != first })
	}
}

// A gateway with many peers tells only those to which packets leave another way, each
// once, and within the allowance of questions.
func TestSweepIsPaced(t *testing.T) {
	c := newRouteBench(4 * questionBurst)
	for _, p := range c.peers {
		p.SetCut(false)
	}
	told := map[*peer.Peer]int{}
	largest := 0
	c.sweep.inUse = func() []*peer.Peer { return c.peers }
	c.sweep.changed = func(list []*peer.Peer, _ clock.Time, resumed bool) {
		largest = max(largest, len(list))
		for _, p := range list {
			told[p]++
		}
		if resumed {
			t.Error("nobody was asleep")
		}
	}
	sweep := func(limit time.Duration) (took time.Duration) {
		var a allowance
		began := c.now
		c.sweep.begin(c.routes)
		for !c.sweep.done() && c.now.Sub(began) < limit {
			c.now = c.now.Add(c.step(&a, nil))
		}
		return c.now.Sub(began)
	}
	answer := link.Route{Found: true, Running: true, Interface: 1, Source: outer(1)}
	c.kernel.Answer(constant(answer))
	c.changed(netip.MustParsePrefix("10.0.0.0/24"))
	if sweep(time.Hour); len(told) != 0 {
		t.Errorf("%d peers told, but nothing is different", len(told))
	}
	answer.Interface = 2
	c.kernel.Answer(constant(answer))
	c.changed(netip.MustParsePrefix("10.0.1.0/24"))
	if sweep(time.Hour); len(told) != 256 {
		t.Errorf("%d peers told, want the 256 under the prefix", len(told))
	}
	clear(told)
	c.changed(link.AllIPv4)
	took := sweep(time.Hour)
	if len(told) != len(c.peers)-256 || largest > link.MaxQuestions {
		t.Errorf("%d peers told, at most %d at once; want %d, %d", len(told), largest, len(c.peers)-256, link.MaxQuestions)
	}
	for p, n := range told {
		if n != 1 {
			t.Fatalf("%v was told %d times", p.Endpoint(), n)
		}
	}
	if min := time.Duration(3*questionBurst) * questionInterval; took < min {
		t.Errorf("it took %v, want at least %v", took, min)
	}
}
