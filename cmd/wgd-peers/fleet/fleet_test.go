package fleet

import (
	"flag"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

var (
	gatewaysFlag = flag.Int("gateways", 4, "how many gateways TestFleet has; make scale-virtual has 10")
	clientsFlag  = flag.Int("clients", 2000, "how many clients TestFleet has; make scale-virtual has 100,000")
	followFlag   = flag.Int("follow", -1, "the number of a client of which TestFleet logs everything")
	skewFlag     = flag.Duration("skew", 2*time.Second, "by how much the clocks of TestFleet are wrong at most")
	seedFlag     = flag.Uint64("seed", 1, "the seed of TestFleet; 0: a random one")
)

// A gateway dies, and its clients go on at the others.
func TestGatewayDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		p := plan{gateways: 3, clients: 100, talkers: 30, length: 20 * time.Second}
		w.populate(p)
		w.run(20 * time.Second)
		w.locked(func() { w.fallOver(w.gateways[0]) })
		w.run(time.Minute)
		w.locked(func() { w.comeBack(w.gateways[0]) })
		w.finally(p)
	})
}

// The store is away for an hour. Peers that a gateway has go on, renew their sessions and
// roam; new ones are not answered. Then all is as it should be.
func TestStoreIsAwayForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.end()
		p := plan{gateways: 2, clients: 60, talkers: 40, length: 10 * time.Second}
		w.populate(p)
		w.run(time.Minute)
		held := w.clients[:p.talkers]
		var strangers []*client
		w.locked(func() {
			for _, g := range w.gateways {
				g.connect(silent)
			}
			for range 10 {
				c := w.addClient(0)
				strangers = append(strangers, c)
				w.talk(c, 5*time.Second)
			}
		})
		w.run(30 * time.Minute)
		w.locked(func() {
			for _, c := range held[:10] {
				w.move(c)
			}
		})
		w.run(30 * time.Minute)
		w.locked(func() {
			for _, c := range held {
				if quiet := w.now().Sub(c.heard); quiet > c.interval+answerTime {
					t.Errorf("client %d has heard nothing for %v", c.n, quiet)
				}
			}
			for _, c := range strangers {
				if !c.heard.IsZero() {
					t.Errorf("client %d, which is new, got an answer at %v", c.n, c.heard)
				}
			}
		})
		w.finally(p)
	})
}

// A fleet, through everything that can fail.
func TestFleet(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		defer w.end()
		p := plan{
			gateways: *gatewaysFlag, clients: *clientsFlag, talkers: min(*clientsFlag/20, 1000), skew: *skewFlag,
			limit: uint32(max(maxAsked/2, *clientsFlag/(2**gatewaysFlag))), length: 10 * time.Minute, pause: 20 * time.Second,
		}
		w.populate(p)
		w.torment(p)
		w.watch(p.length)
		w.finally(p)
		if *clientsFlag >= 2000 {
			w.locked(w.checks.enough)
		}
		if t.Failed() && testing.Verbose() {
			t.Log(w.log.String())
		}
	})
}
