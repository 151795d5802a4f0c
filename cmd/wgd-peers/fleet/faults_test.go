package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"testing/synctest"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/sim"
)

// A plan says what a world has, and what happens in it.
type plan struct {
	gateways, clients int
	talkers           int           // clients that send all the time
	skew              time.Duration // of clocks, at most
	limit             uint32        // of lent peers of each gateway; 0: none
	length            time.Duration // of the time with faults
	pause             time.Duration // between two faults, on average
}

// populate adds gateways and clients. Those that do not talk send one packet each.
func (w *world) populate(p plan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp()
	for range p.gateways {
		w.addGateway(w.between(-p.skew, p.skew), p.limit)
	}
	w.net.Route(service, w.route)
	for n := range p.clients {
		c := w.addClient(w.between(-p.skew, p.skew))
		if n < p.talkers {
			w.talk(c, w.between(time.Second, 5*time.Second))
		} else {
			w.net.After(w.between(0, p.length), func() { w.send(c) })
		}
	}
}

// end ends everything, so that no goroutine is left.
func (w *world) end() {
	w.locked(func() {
		w.mended = true
		for _, g := range w.gateways {
			if g.kill != nil {
				g.kill()
			}
			g.crash()
		}
	})
	w.servers.Wait()
	var gateways, clients sim.Counts
	for i, h := range w.net.Hosts {
		to := &clients
		if i < len(w.gateways) {
			to = &gateways
		}
		for t := range h.Counts.Sent {
			to.Sent[t] += h.Counts.Sent[t]
			to.Received[t] += h.Counts.Received[t]
		}
	}
	w.t.Logf("%d replays; %d more at gateways that had the peer from before; %d clients of which all bytes can be counted; %d entries in a table of unknown senders at most", w.checks.replayed, w.checks.stale, w.checks.counted, w.checks.kept)
	w.t.Logf("after %v: by type of message, the gateways have sent %v and received %v, the clients %v and %v", w.net.Now(), gateways.Sent, gateways.Received, clients.Sent, clients.Received)
}

// A fault breaks something of a gateway, and returns what mends it.
type fault struct {
	name string
	do   func(w *world, g *gateway) (mend func())
}

var faults = []fault{
	{"the power fails", func(w *world, g *gateway) func() { w.fallOver(g); return func() { w.comeBack(g) } }},
	{"the daemon is killed", func(w *world, g *gateway) func() { g.crash(); return func() { g.start() } }},
	{"serve is killed", func(w *world, g *gateway) func() { g.kill(); return func() { g.serve() } }},
	{"the store is silent", linkFault(silent)},
	{"the store refuses", linkFault(refuses)},
	{"serve is restarted while the store is silent", func(_ *world, g *gateway) func() {
		g.kill()
		g.connect(silent)
		g.serve()
		return func() { g.connect(works) }
	}},
	{"the store is slow", linkFault(slow)},
	{"the watch is deaf", linkFault(deaf)},
	{"answers of the daemon are lost", func(_ *world, g *gateway) func() {
		g.breaks = 0.2
		g.judge()
		return func() { g.breaks = 0; g.judge() }
	}},
}

func linkFault(s state) func(*world, *gateway) func() {
	return func(_ *world, g *gateway) func() {
		g.connect(s)
		return func() { g.connect(works) }
	}
}

// break lets a fault happen to a gateway that has none, and mends it later.
func (w *world) breakOne(f fault, g *gateway, mended time.Duration) {
	if g.broken || w.mended {
		return
	}
	g.broken = true
	w.logf("gateway %d: %s, for %v", g.n, f.name, mended)
	mend := f.do(w, g)
	w.net.After(mended, func() {
		if !w.mended {
			g.broken = false
			mend()
			w.logf("gateway %d: mended: %s", g.n, f.name)
		}
	})
}

// logf writes to the log of the world.
func (w *world) logf(format string, args ...any) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	fmt.Fprintf(&w.log, "%v %s\n", time.Since(w.began), fmt.Sprintf(format, args...))
}

// watch lets time pass, and checks from time to time what is bounded.
func (w *world) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.run(min(5*time.Second, time.Until(end)))
		synctest.Wait()
		w.locked(w.checks.bounded)
	}
}

// follow writes to the log of the world what happens to the client of -follow.
func (w *world) follow(c *client, format string, args ...any) {
	if c.n == *followFlag {
		w.logf("client %d: %s", c.n, fmt.Sprintf(format, args...))
	}
}

// torment lets faults happen.
func (w *world) torment(p plan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := w.now().Add(p.length)
	after := func(pause time.Duration, do func()) {
		w.net.Every(pause, func() bool {
			if w.mended || !w.now().Before(end) {
				return false
			}
			do()
			return true
		})
	}
	after(p.pause, func() {
		w.breakOne(faults[w.dice.IntN(len(faults))], w.gateways[w.dice.IntN(len(w.gateways))], w.between(time.Second, 90*time.Second))
	})
	after(p.length/4, func() { // nobody reaches the store
		w.logf("nobody reaches the store")
		for _, g := range w.gateways {
			w.breakOne(fault{"the store is away", linkFault(silent)}, g, 40*time.Second)
		}
	})
	after(7*time.Second, func() { w.steer(w.anyTalker(p), w.another(nil)) })
	after(11*time.Second, func() { w.move(w.anyTalker(p)) })
	after(5*time.Second, func() { w.revoke(w.clients[w.dice.IntN(len(w.clients))]) })
	after(25*time.Second, w.store.compact)
	after(30*time.Second, func() { // another program changes the configuration: all peers are read
		for _, g := range w.gateways {
			g.note(conf.Event{Kind: conf.ConfigurationChanged, By: conf.Caller{PID: 1}})
		}
	})
	w.attack(end)
}

func (w *world) anyTalker(p plan) *client { return w.clients[w.dice.IntN(p.talkers)] }

// move gives a client another address.
func (w *world) move(c *client) {
	w.moves++
	a := netip.AddrFrom4([4]byte{101, byte(w.moves >> 16), byte(w.moves >> 8), byte(w.moves)})
	c.host.Move(a.String())
	w.byAddr[a] = c
	c.uncounted = true // packets are on their way to the address that it had
	w.checks.disturb(c)
}

// revoke revokes a client. A second later no gateway has it.
func (w *world) revoke(c *client) {
	if !c.revoked.IsZero() {
		return
	}
	c.revoked = w.now()
	err := w.store.Update(context.Background(), c.public, func(p *store.Peer) error { p.Revoked = c.revoked; return nil })
	if err != nil {
		w.checks.fail("%v", err)
	}
	w.net.After(revokeTime, func() { w.checks.revoked(c) })
}

// fallOver lets a gateway lose its power. Its packets go to others when that is noticed.
func (w *world) fallOver(g *gateway) {
	if g.kill != nil {
		g.kill()
	}
	g.crash()
	w.net.After(w.between(200*time.Millisecond, time.Second), func() {
		for _, c := range w.clients {
			if c.home == g && g.run == nil && !w.mended {
				w.steer(c, w.another(g))
			}
		}
	})
}

// another returns a gateway that works, or else any.
func (w *world) another(than *gateway) *gateway {
	var list []*gateway
	for _, g := range w.gateways {
		if g != than && g.works(5*time.Second) {
			list = append(list, g)
		}
	}
	if len(list) == 0 {
		list = w.gateways
	}
	return list[w.dice.IntN(len(list))]
}

// comeBack starts a gateway, which gets some clients.
func (w *world) comeBack(g *gateway) {
	g.start()
	g.serve()
	w.net.After(w.between(time.Second, 3*time.Second), func() {
		for _, c := range w.clients {
			if w.dice.IntN(len(w.gateways)) == 0 {
				w.steer(c, g)
			}
		}
	})
}

// mend mends everything.
func (w *world) mend() {
	w.locked(func() {
		w.logf("everything is mended")
		w.mended = true
		for _, g := range w.gateways {
			g.connect(works)
			g.breaks = 0
			if g.run == nil {
				g.start()
			}
			g.serve()
			g.judge()
		}
	})
}
