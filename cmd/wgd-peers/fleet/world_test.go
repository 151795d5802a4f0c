package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/serve"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/sim"
	"wgd/key"
)

const (
	// service is the address of all gateways.
	service = "203.0.113.1"
	// lent is after how many seconds without a session a gateway returns a peer.
	lent = 60
	// sight is how far serve and the simulated internet may be apart.
	sight = time.Millisecond
)

// A world has gateways, their clients and their store.
type world struct {
	t    *testing.T
	seed uint64

	mu       sync.Mutex // everything below, and the internet
	net      *sim.Internet
	began    time.Time
	bell     chan struct{}
	dice     *rand.Rand
	store    *memory
	gateways []*gateway
	clients  []*client
	byKey    map[key.Public]*client
	byAddr   map[netip.Addr]*client // also by an address that it had
	checks   *checks

	mended  bool           // nothing breaks any more
	servers sync.WaitGroup // processes of serve
	moves   int

	logMu sync.Mutex
	log   strings.Builder
}

// newWorld must be called in a bubble of synctest.
func newWorld(t *testing.T, seed uint64) *world {
	time.Sleep(time.Until(sim.Epoch)) // so that all clocks show the same
	w := &world{
		t: t, seed: seed, net: sim.New(seed), began: time.Now(), bell: make(chan struct{}, 1), dice: rand.New(rand.NewPCG(seed, 2)),
		store: newMemory(), byKey: map[key.Public]*client{}, byAddr: map[netip.Addr]*client{},
	}
	w.checks = newChecks(w)
	w.store.observed = w.checks.recorded
	w.net.Tap = w.checks.sent
	return w
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	for end := time.Now().Add(d); ; {
		w.mu.Lock()
		w.catchUp()
		next, some := w.net.Next()
		w.mu.Unlock()
		wait := time.Until(end)
		if wait <= 0 {
			return
		}
		if some {
			wait = min(wait, max(sight, time.Until(w.began.Add(next))))
		}
		select {
		case <-time.After(wait):
		case <-w.bell:
		}
	}
}

// catchUp lets everything happen that is due in the simulated internet. The caller holds mu.
func (w *world) catchUp() { w.net.Run(time.Since(w.began) - w.net.Now()) }

// ring wakes run, because something may be due earlier.
func (w *world) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// locked calls f with everything up to now done.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp()
	f()
	w.ring()
}

// between returns a random duration.
func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.dice.Int64N(int64(high-low)+1))
}

// A gateway is a computer with a daemon and, mostly, a process of serve.
type gateway struct {
	w        *world
	n        int
	host     *sim.Host
	limit    uint32 // of lent peers
	dice     *rand.Rand
	way      *way    // to the store
	breaks   float64 // how often the answer to a change is lost
	returned []returned
	broken   bool // something of it is not mended yet

	run  *run // nil: the daemon does not run
	runs int
	kill func() // ends serve, without an orderly end; nil: it does not run

	whole time.Time // since when daemon, serve and link work; zero: they do not
}

// addGateway adds a gateway that is up. limit is that of its lent peers.
func (w *world) addGateway(skew time.Duration, limit uint32) *gateway {
	g := &gateway{w: w, n: len(w.gateways), host: w.net.NewHost(service), limit: limit}
	h := g.host
	h.Forgetful, h.Cores, h.JobTime, h.Wall = true, 2, 100*time.Microsecond, skew
	if g.n > 0 {
		first := w.gateways[0].host
		h.Private, h.Inner4, h.Inner6 = first.Private, first.Inner4, first.Inner6
	}
	h.Must(conf.Change{PrivateKey: &h.Private})
	h.Events = func(e conf.Event) { w.checks.event(g, &e); g.note(e) }
	h.Output = func(out *output) { w.checks.output(g, out) }
	h.Arrived = func(p sim.Packet) { g.echo(p) }
	g.dice = rand.New(rand.NewPCG(w.seed, uint64(1000+g.n))) // its own, because Go decides when it is used
	g.way = newWay(rand.New(rand.NewPCG(w.seed, uint64(100+g.n))))
	w.gateways = append(w.gateways, g)
	g.start()
	g.serve()
	return g
}

// note adds an event to the log of the run.
func (g *gateway) note(e conf.Event) {
	if g.run == nil {
		return
	}
	e.Time = g.host.Time().Wall.Round(0)
	g.run.events.add(e)
}

// start starts the daemon. The caller of this, and of the following, holds mu.
func (g *gateway) start() {
	g.runs++
	g.run = &run{name: fmt.Sprintf("%d.%d", g.n, g.runs), ended: make(chan struct{}), events: newEventLog(), unknown: g.host.Unknown}
	g.host.Up()
	g.judge()
}

// crash kills the daemon.
func (g *gateway) crash() {
	if g.run == nil {
		return
	}
	close(g.run.ended)
	g.run.unknown.End()
	g.run = nil
	g.w.checks.crashed(g)
	g.host.Restart(false)
	g.host.Down()
	g.judge()
}

// serve starts the process of serve.
func (g *gateway) serve() {
	if g.kill != nil {
		return
	}
	gone := make(chan struct{})
	log := slog.New(slog.NewTextHandler(&logWriter{w: g.w, n: g.n}, nil))
	server := serve.New(&link{g.w.store, g.way, gone, g.host.Wall}, serve.Options{Lent: lent, LentLimit: g.limit}, log, []string{"wg0"}, func(string) serve.Daemon { return &socket{g, gone} })
	ctx, cancel := context.WithCancel(context.Background())
	g.w.servers.Go(func() { server.Run(ctx) })
	g.kill = func() {
		close(gone)
		g.w.checks.lost(g)
		cancel()
		g.kill = nil
		g.judge()
	}
	g.judge()
}

// connect changes how the gateway reaches the store.
func (g *gateway) connect(s state) {
	g.way.set(s)
	g.judge()
}

// judge notes since when everything works.
func (g *gateway) judge() {
	state, _, _ := g.way.now()
	switch {
	case g.run == nil || g.kill == nil || state != works || g.breaks > 0:
		g.whole = time.Time{}
	case g.whole.IsZero():
		g.whole = time.Now()
	}
}

// works reports whether everything has worked for some time.
func (g *gateway) works(d time.Duration) bool { return !g.whole.IsZero() && time.Since(g.whole) >= d }

// echo answers a packet from a tunnel.
func (g *gateway) echo(p sim.Packet) {
	if p.To == g.host.Inner4 {
		g.host.Give(sim.Inner(p.To, p.From, []byte(p.Payload), 0))
	}
}

// A logWriter keeps what the processes of serve of a gateway log.
type logWriter struct {
	w *world
	n int
}

func (l *logWriter) Write(text []byte) (int, error) {
	l.w.logMu.Lock()
	defer l.w.logMu.Unlock()
	fmt.Fprintf(&l.w.log, "%d %s", l.n, text)
	return len(text), nil
}

// A client is a host with a tunnel to the gateways.
type client struct {
	n        int
	host     *sim.Host
	public   key.Public
	home     *gateway      // to which its packets go
	interval time.Duration // between two packets; 0: it is idle
	ends     bool          // it sends nothing more

	sent      int
	echoed    int       // the last packet that was echoed
	heard     time.Time // when an echo arrived
	disturbed time.Time // when something happened that may stop its packets for a while
	revoked   time.Time
	uncounted bool // some of its bytes cannot be counted, because of a crash for example
	checked   clientChecks
}

// addClient adds a client that is in the store.
func (w *world) addClient(skew time.Duration) *client {
	n := len(w.clients)
	address := outer(n)
	c := &client{n: n, host: w.net.NewHost(address.String())}
	h := c.host
	h.Forgetful, h.Wall = true, skew
	c.public = h.Public()
	var secret [key.Size]byte
	binary.BigEndian.PutUint64(secret[:], w.dice.Uint64())
	secret[8] = 1
	preshared := key.NewPreshared(&secret)
	first := w.gateways[0].host
	at := netip.AddrPortFrom(netip.MustParseAddr(service), sim.Port)
	h.Must(conf.Change{Peers: []conf.PeerChange{{
		PublicKey: w.gateways[0].public(), PresharedKey: &preshared, Endpoint: &at,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(first.Inner4, 32)}},
	}}})
	h.Up()
	h.Arrived = func(p sim.Packet) { c.arrived(w, p) }
	err := w.store.Add(context.Background(), &store.Peer{
		Name: fmt.Sprint("peer", n), PublicKey: c.public, PresharedKey: preshared,
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(h.Inner4, 32)},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c.home = w.gateways[w.dice.IntN(len(w.gateways))]
	w.clients = append(w.clients, c)
	w.byKey[c.public], w.byAddr[address] = c, c
	return c
}

// outer returns the first address of a client.
func outer(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{100, byte(n >> 16), byte(n >> 8), byte(n)})
}

func (g *gateway) public() key.Public { return g.host.Public() }

// send sends a packet through the tunnel.
func (w *world) send(c *client) {
	c.sent++
	w.checks.sends(c)
	c.host.Give(sim.Inner(c.host.Inner4, w.gateways[0].host.Inner4, fmt.Appendf(nil, "%d", c.sent), 0))
}

// arrived takes the echo of a packet.
func (c *client) arrived(w *world, p sim.Packet) {
	n := 0
	if _, err := fmt.Sscan(p.Payload, &n); err != nil || p.From != w.gateways[0].host.Inner4 {
		w.checks.fail("client %d got %q from %v", c.n, p.Payload, p.From)
		return
	}
	w.checks.resumes(c)
	c.echoed, c.heard = n, w.now()
}

// now is the time of the simulated internet, which may be behind that of the bubble.
func (w *world) now() time.Time { return w.began.Add(w.net.Now()) }

// talk lets a client send a packet each interval.
func (w *world) talk(c *client, interval time.Duration) {
	c.interval = interval
	c.disturbed = w.now()
	w.net.After(time.Duration(w.dice.Int64N(int64(interval))), func() {
		w.send(c)
		w.net.Every(interval, func() bool {
			if !c.ends {
				w.checks.flows(c)
				w.send(c)
			}
			return !c.ends
		})
	})
}

// route says which gateway gets a datagram for the service address.
func (w *world) route(d *sim.Datagram) *sim.Host {
	if c := w.byAddr[d.From.Addr()]; c != nil {
		return c.home.host
	}
	a := d.From.Addr().As4()
	return w.gateways[int(a[3])%len(w.gateways)].host
}

// steer lets the packets of a client go to a gateway.
func (w *world) steer(c *client, to *gateway) {
	if c.home != to {
		w.follow(c, "goes from gateway %d to %d", c.home.n, to.n)
		c.home, c.uncounted = to, true
		w.checks.switched(c)
	}
}
