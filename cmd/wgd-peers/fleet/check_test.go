package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/core"
	"wgd/internal/sim"
	"wgd/internal/wire"
	"wgd/key"
)

type output = core.Output

const (
	// maxFaults is how many violations are told.
	maxFaults = 20
	// revokeTime is when a revoked peer must be out of all gateways that reach the store.
	revokeTime = time.Second
	// callPause is the least time between two initiations of a gateway to a peer.
	callPause = 5 * time.Second
	// attemptTime is for how long a gateway tries to reach a peer that does not answer.
	attemptTime = 90 * time.Second
	// recovery is how long the packets of a client may stop after everything works again: until
	// the client notices after 15 seconds, or a refusal is over, and one handshake was lost.
	recovery = 25 * time.Second
)

// checks are the invariants that always hold, and what is known for those that hold in the end.
// Their methods are called with mu of the world, except for recorded.
type checks struct {
	w      *world
	faults int

	sessions map[session]life // who sends with a session
	calls    map[contact]time.Time
	met      map[contact]netip.AddrPort // where a gateway has heard a peer itself
	stamp    wire.TAI64N                // of the last output Accepted
	stopped  []time.Duration            // how long packets stopped when their gateway was another one

	kept       int                     // the most entries of a table that were seen
	recordings []recording             // of initiations
	knows      map[contact]wire.TAI64N // the greatest stamp that a gateway knows
	replayed   int                     // how often a recorded initiation arrived at a gateway
	stale      int                     // how often it would have been accepted
	counted    int                     // clients whose byte counts were compared

	mu   sync.Mutex
	seen map[key.Public][]netip.AddrPort // what the store had as endpoints
}

// A session is named by the index that the client has given it.
type session struct {
	client int
	index  uint32
}

// A life is a run of the daemon of a gateway.
type life struct{ gateway, run int }

// A contact is a peer of a run.
type contact struct {
	life
	client int
}

// clientChecks is what is known about a client.
type clientChecks struct {
	accepted map[wire.TAI64N]int // stamps of initiations, and the gateway that has accepted each
	greatest wire.TAI64N
	heardAt  time.Time // when an initiation was accepted last
	// kept is when another gateway than that which gets its packets has initiated to it last.
	// Until that gives up, the client hears something, and does not notice that nobody hears it.
	kept     time.Time
	switched bool      // its gateway has changed, and it was not heard since
	tried    time.Time // when it has sent the first packet after that

	initiation  *sim.Datagram // the last one
	initiations int           // that it has sent
}

func newChecks(w *world) *checks {
	return &checks{w: w, sessions: map[session]life{}, calls: map[contact]time.Time{}, met: map[contact]netip.AddrPort{}, seen: map[key.Public][]netip.AddrPort{}, knows: map[contact]wire.TAI64N{}}
}

// fail reports a violation.
func (k *checks) fail(format string, args ...any) {
	if k.faults++; k.faults <= maxFaults {
		k.w.t.Errorf("%v: %s", k.w.net.Now(), fmt.Sprintf(format, args...))
		k.w.logf("FAULT: "+format, args...)
	}
}

func (k *checks) contact(g *gateway, c *client) contact { return contact{life{g.n, g.runs}, c.n} }

// recorded takes what is written to the store.
func (k *checks) recorded(s *store.Sighting) {
	if c := k.w.byKey[s.PublicKey]; c != nil {
		k.w.follow(c, "the store gets %v, %v, stamp %x, %d and %d bytes", s.Endpoint, s.At.Format(time.StampMilli), s.Stamp, s.RxBytes, s.TxBytes)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.Endpoint.IsValid() && !slices.Contains(k.seen[s.PublicKey], s.Endpoint) {
		k.seen[s.PublicKey] = append(k.seen[s.PublicKey], s.Endpoint)
	}
}

// sent takes each datagram. Nobody gets anything but the clients; and each session, which the
// client knows by its index, is one of a single run of a single gateway.
func (k *checks) sent(from *sim.Host, d *sim.Datagram) {
	n := from.Name - 1
	if c := k.w.byAddr[d.To.Addr()]; c != nil {
		k.w.follow(c, "gateway %d sends a %v to %v", n, d.Type(), d.To)
	} else if c := k.w.byAddr[d.From.Addr()]; c != nil {
		k.w.follow(c, "a %v from %v goes to gateway %d", d.Type(), d.From, c.home.n)
	}
	if n >= len(k.w.gateways) {
		k.record(n-len(k.w.gateways), d)
		return
	}
	g := k.w.gateways[n]
	c := k.w.byAddr[d.To.Addr()]
	if c == nil {
		if d.Type() != wire.TypeCookieReply {
			k.fail("gateway %d sent a %v to %v, where no client is", g.n, d.Type(), d.To)
		}
		return
	}
	if d.Type() != wire.TypeData {
		return
	}
	s := session{c.n, binary.LittleEndian.Uint32(d.Data[4:])}
	now := life{g.n, g.runs}
	if before, known := k.sessions[s]; known && before != now {
		k.fail("gateways %v and %v use one session with client %d", before, now, c.n)
	}
	k.sessions[s] = now
}

// output takes each output of the machine of a gateway.
func (k *checks) output(g *gateway, out *output) {
	switch {
	case out.Kind == core.Accepted:
		k.stamp = out.Stamp
		k.knows[k.contact(g, k.w.byKey[out.PublicKey])] = out.Stamp
	case out.Kind == core.Forget:
		delete(k.knows, k.contact(g, k.w.byKey[out.PublicKey]))
	case out.Kind == core.Log && out.Event == core.InitiationRefused:
		if c := k.w.byKey[out.PublicKey]; c != nil {
			k.w.follow(c, "gateway %d refuses an initiation from %v: %v", g.n, out.Endpoint.Remote, out.Cause)
		}
	case out.Kind == core.Log && out.Event == core.InitiationReceived:
		k.accepted(g, k.w.byKey[out.PublicKey], out.Endpoint.Remote)
	case out.Kind == core.Send:
		if t, _ := wire.TypeOf(out.Message); t == wire.TypeInitiation {
			k.initiates(g, k.w.byKey[out.PublicKey], out.Endpoint.Remote)
		}
	}
}

// accepted takes an initiation that a gateway has accepted. No gateway accepts it again.
func (k *checks) accepted(g *gateway, c *client, from netip.AddrPort) {
	if before, twice := c.checked.accepted[k.stamp]; twice {
		k.fail("gateway %d accepts an initiation of client %d from %v, which gateway %d has accepted before", g.n, c.n, from, before)
	}
	if c.checked.accepted == nil {
		c.checked.accepted = map[wire.TAI64N]int{}
	}
	c.checked.accepted[k.stamp], c.checked.heardAt = g.n, k.w.now()
	if k.stamp.After(c.checked.greatest) {
		c.checked.greatest = k.stamp
	}
	k.met[k.contact(g, c)] = from
	k.keep(c)
	k.admitted(g, c, "answers")
}

// initiates takes an initiation of a gateway: it goes where the store has seen the peer, or
// where this gateway has heard it, and is the only one in some seconds.
func (k *checks) initiates(g *gateway, c *client, to netip.AddrPort) {
	at := k.contact(g, c)
	now := k.w.now()
	if last, ok := k.calls[at]; ok && now.Sub(last) < callPause {
		k.fail("gateway %d initiates to client %d twice in %v", g.n, c.n, now.Sub(last))
	}
	k.calls[at] = now
	if g != c.home {
		c.checked.kept = now
	}
	k.mu.Lock()
	seen := slices.Contains(k.seen[c.public], to)
	k.mu.Unlock()
	if !seen && k.met[at] != to {
		k.fail("gateway %d initiates to client %d at %v, where nobody has seen it", g.n, c.n, to)
	}
	k.admitted(g, c, "initiates to")
}

// event takes each event of a gateway.
func (k *checks) event(g *gateway, e *conf.Event) {
	c := k.w.byKey[e.Peer]
	if c == nil {
		return
	}
	c.uncounted = c.uncounted || g.kill == nil
	k.w.follow(c, "gateway %d: event %v %v %v", g.n, e.Kind, e.Cause, e.Endpoint)
	switch e.Kind {
	case conf.HandshakeDone:
		k.met[k.contact(g, c)] = e.Endpoint
		if g == c.home {
			k.resumes(c)
		}
		k.admitted(g, c, "has a session with")
	case conf.EndpointMoved:
		k.met[k.contact(g, c)] = e.Endpoint
	case conf.PeerReturned:
		k.disturb(c)
		g.returned = append(g.returned, returned{c, k.w.now()})
		c.uncounted = c.uncounted || e.Cause == "limit" // a keepalive may be on its way
	}
}

// admitted checks that a peer was not revoked a second ago. Who does not reach the store cannot
// know it.
func (k *checks) admitted(g *gateway, c *client, does string) {
	if c.revoked.IsZero() || g.whole.IsZero() || !g.whole.Before(c.revoked) {
		return
	}
	if since := k.w.now().Sub(c.revoked); since > revokeTime {
		k.fail("gateway %d %s client %d, which was revoked %v ago", g.n, does, c.n, since)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// revoked checks, a second after a client was revoked, that no gateway has it.
func (k *checks) revoked(c *client) {
	for _, g := range k.w.gateways {
		if g.whole.IsZero() || !g.whole.Before(c.revoked) {
			continue
		}
		if g.host.Machine.Peer(c.public) != nil {
			k.fail("gateway %d has client %d, which was revoked %v ago", g.n, c.n, k.w.now().Sub(c.revoked))
		}
	}
}

// crashed takes the end of a daemon: what it has counted is lost.
func (k *checks) crashed(g *gateway) {
	k.lost(g)
	for _, c := range k.w.clients {
		if g.host.Machine.Peer(c.public) != nil {
			k.disturb(c)
		}
	}
}

// A returned peer is one of which serve records what it has transferred.
type returned struct {
	client *client
	at     time.Time
}

// lost takes the end of serve: what the daemon counts meanwhile may be lost, and what serve has
// not recorded yet.
func (k *checks) lost(g *gateway) {
	recorded := k.w.now().Add(-recovery)
	if !g.works(recovery) {
		recorded = time.Time{}
	}
	for _, r := range g.returned {
		r.client.uncounted = r.client.uncounted || r.at.After(recorded)
	}
	g.returned = nil
	for _, c := range k.w.clients {
		if g.host.Machine.Peer(c.public) != nil {
			c.uncounted = true
		}
	}
}

// disturb notes that the packets of a client may stop.
func (k *checks) disturb(c *client) { c.disturbed = k.w.now() }

// switched takes that another gateway gets the packets of a client. If that works, the client
// was heard just before, and the store has seen where it is, it is measured how long its packets
// stop.
func (k *checks) switched(c *client) {
	k.disturb(c)
	p, err := k.w.store.ByKey(context.Background(), c.public)
	c.checked.switched = c.home.works(5*time.Second) && k.w.now().Sub(c.heard) < 10*time.Second && c.revoked.IsZero() && err == nil && p.Seen.Endpoint == c.host.Addr()
	c.checked.tried = time.Time{}
}

// sends takes a packet of a client.
func (k *checks) sends(c *client) {
	if c.checked.switched && c.checked.tried.IsZero() {
		c.checked.tried = k.w.now()
	}
}

// resumes takes an echo, or a new session with the gateway to which the packets go.
func (k *checks) resumes(c *client) {
	if !c.checked.tried.IsZero() {
		k.stopped = append(k.stopped, k.w.now().Sub(c.checked.tried))
		c.checked.switched, c.checked.tried = false, time.Time{}
	}
}

// bounded checks that what gateways keep is bounded. The caller has let everybody come to rest.
func (k *checks) bounded() {
	for _, g := range k.w.gateways {
		if n := len(g.host.Machine.Peers()); g.run != nil && g.limit != 0 && n > int(g.limit) {
			k.fail("gateway %d has %d peers, more than %d", g.n, n, g.limit)
		}
		table := reflect.ValueOf(g.host.Unknown).Elem()
		for path, limit := range map[string]int{"keys.recent": 1 << 16, "sessions.recent": 1 << 16, "senders": 1 << 16, "destinations.recent": 1 << 16, "initiations": 4096, "parked": 4096} {
			v := table
			for name := range strings.SplitSeq(path+".entries", ".") {
				v = v.FieldByName(name)
			}
			if v.Len() > limit {
				k.fail("gateway %d keeps %d entries in %s, more than %d", g.n, v.Len(), path, limit)
			}
			k.kept = max(k.kept, v.Len())
		}
	}
}

// flows checks, before each packet of a client, that packets before it were echoed: also while
// the store is away or serve does not run, if nothing else has happened to the client.
func (k *checks) flows(c *client) {
	if !c.revoked.IsZero() {
		return
	}
	quiet := k.w.now().Sub(c.heard)
	if c.disturbed.Before(c.heard.Add(-time.Second)) {
		if quiet > 2*c.interval+time.Second {
			k.fail("client %d hears nothing from gateway %d for %v, although nothing has happened to it", c.n, c.home.n, quiet)
			c.disturbed = k.w.now() // tell it once
		}
		return
	}
	begin := later(c.heard, c.disturbed)
	if kept := later(begin, c.checked.kept); kept.Sub(begin) < attemptTime+recovery {
		begin = kept
	}
	if c.home.works(recovery) && k.w.now().Sub(begin) > recovery+c.interval {
		k.fail("client %d hears nothing from gateway %d for %v, and was disturbed %v ago", c.n, c.home.n, quiet, k.w.now().Sub(c.disturbed))
		c.disturbed = k.w.now()
	}
}
