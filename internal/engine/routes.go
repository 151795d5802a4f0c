package engine

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/sys/link"
	"wgd/internal/wire"
)

// routes looks up the routes to endpoints in the kernel (A46, A52), for peers to
// which packets are sent, if the route is not known or may have changed.
//
// The data plane only compares two numbers. It queues the peers whose routes are
// needed and goes on sending as before. One goroutine looks up the routes, many in
// one request, and within an allowance. A handshake message to an endpoint whose
// route is not known at all waits for the answer: even the first message to a peer
// should leave by the right interface.
type routes struct {
	kernel Routes // nil: routes are not followed
	common *peer.Common
	clock  func() clock.Now
	port   *atomic.Uint32 // of our sockets
	mark   atomic.Uint32
	queue  chan *peer.Peer
	pinned atomic.Pointer[map[arrival]bool]
	sweep  sweep

	changeMu sync.Mutex // held while common's Changes are replaced

	mu        sync.Mutex // held during a request to the kernel; guards what follows
	known     map[peer.Route]*peer.Route
	lookups   []lookup
	paths     []*peer.Location // of which the route is known, but not the MTU
	questions []link.Question
	answers   []link.Route
	asked     int // questions so far
}

// Routes looks up routes in the kernel. A link.RouteWatcher implements it.
type Routes interface {
	Ask(questions []link.Question, routes []link.Route) error
}

// arrival is where a datagram arrived: an address of ours, and an interface.
type arrival struct {
	address netip.Addr
	index   uint32
}

// lookup is what the kernel answers about one endpoint.
type lookup struct {
	peer  *peer.Peer
	at    *peer.Location
	route link.Route // of a datagram without a source
	local bool       // the sticky source is an address of this host
	// The routing table's entry for a datagram from the sticky source, and for one
	// that must leave by the interface that received.
	best, back link.Route
}

const (
	// routeQueue is how many peers may wait for a lookup. A peer that finds the queue
	// full is queued with its next batch.
	routeQueue = 1024

	// A change that affects all peers may cause questionBurst questions at once, at
	// a few microseconds each. Endless changes cost about 1 % of a core.
	questionBurst    = 16384
	questionInterval = 500 * time.Microsecond

	// gatherTime is how long the first peer in the queue waits for others, so that one
	// wake-up serves all of them.
	gatherTime = 20 * time.Millisecond
	// requestPause separates two requests, so that other goroutines get the processor.
	requestPause = time.Millisecond

	maxKnownRoutes = 1024
	maxArrivals    = 256
)

func newRoutes(kernel Routes, common *peer.Common, clock func() clock.Now, port *atomic.Uint32) *routes {
	r := &routes{kernel: kernel, common: common, clock: clock, port: port, queue: make(chan *peer.Peer, routeQueue)}
	r.sweep.bell = make(chan struct{}, 1)
	if kernel != nil {
		r.known = make(map[peer.Route]*peer.Route)
		r.answers = make([]link.Route, link.MaxQuestions)
		common.SetChanges(&peer.Changes{})
	}
	return r
}

// changed records that the routes to these prefixes may have changed.
func (r *routes) changed(prefixes ...netip.Prefix) {
	if r.kernel == nil || len(prefixes) == 0 {
		return
	}
	r.changeMu.Lock()
	defer r.changeMu.Unlock()
	r.common.SetChanges(r.common.Changes().After(prefixes...))
	r.pinned.Store(nil)
	r.sweep.since.Store(int64(r.clock().Mono))
	r.sweep.ring()
}

// setMark sets the firewall mark of questions. All routes may depend on it.
func (r *routes) setMark(mark uint32) {
	if r.mark.Swap(mark) != mark {
		r.changed(link.AllIPv4, link.AllIPv6)
	}
}

// put queues a peer whose route is needed. It does not wait.
func (r *routes) put(p *peer.Peer) {
	l := p.Location()
	if !l.Queue() {
		return
	}
	select {
	case r.queue <- p:
	default:
		l.Unqueue()
	}
}

// ensure is called before a handshake message is sent to p at an endpoint. If nothing
// is known about the route, it waits for the kernel's answer. It returns the endpoint
// to use, which has the interface if the route is pinned.
func (r *routes) ensure(p *peer.Peer, to wire.Endpoint) wire.Endpoint {
	l := p.Location()
	switch {
	case !p.NeedsRoute(l):
	case l.Route() != nil:
		r.put(p)
	default:
		_, rerouted, _ := r.lookUp([]*peer.Peer{p})
		r.sweep.report(nil, rerouted)
	}
	if now := p.Endpoint(); now.Remote == to.Remote && now.Source == to.Source {
		return now
	}
	return to
}

// run looks up the routes of the queued peers until closing is closed.
func (r *routes) run(closing <-chan struct{}) {
	var allowance allowance
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := func(d time.Duration) bool {
		timer.Reset(d)
		select {
		case <-timer.C:
			return true
		case <-closing:
			return false
		}
	}
	for {
		var p *peer.Peer
		if r.sweep.done() {
			select {
			case p = <-r.queue:
			case <-r.sweep.bell:
				if !pause(r.sweep.pause(r.clock().Mono)) {
					return
				}
				r.sweep.begin(r)
			case <-closing:
				return
			}
			if len(r.queue) < link.MaxQuestions && !pause(gatherTime) {
				return
			}
		}
		if !pause(r.step(&allowance, p)) {
			return
		}
	}
}

// step looks up the routes of p, of queued peers and of the sweep, and returns how long
// to pause afterwards.
func (r *routes) step(a *allowance, p *peer.Peer) (pause time.Duration) {
	list := r.gather(p)
	n, rerouted, failed := r.lookUp(list)
	r.sweep.report(list, rerouted)
	now := r.clock().Mono
	a.spend(now, n)
	if failed {
		r.sweep.ring()
		return max(failurePause, a.pause(now))
	}
	return max(requestPause, a.pause(now))
}

// gather returns p, if it is not nil, queued peers and peers of the sweep, as many as
// one request holds.
func (r *routes) gather(p *peer.Peer) (list []*peer.Peer) {
	if p != nil {
		list = append(list, p)
	}
	for len(list) < link.MaxQuestions {
		select {
		case p := <-r.queue:
			list = append(list, p)
		default:
			return append(list, r.sweep.take(link.MaxQuestions-len(list))...)
		}
	}
	return list
}

// allowance is a token bucket of questions. It may be overdrawn, and is stored as the
// time at which it will be full again.
type allowance struct{ full clock.Time }

func (a *allowance) spend(now clock.Time, n int) {
	a.full = max(a.full, now).Add(time.Duration(n) * questionInterval)
}

// pause returns how long the bucket stays overdrawn.
func (a *allowance) pause(now clock.Time) time.Duration {
	return a.full.Sub(now) - questionBurst*questionInterval
}

// lookUp looks up the routes to at most link.MaxQuestions peers, as far as they are
// needed. It returns how many questions that took, to which of the peers packets now
// leave another way, and whether the kernel gave no answers.
func (r *routes) lookUp(peers []*peer.Peer) (questions int, rerouted []*peer.Peer, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.asked
	// Read before asking: a later change makes the answers old.
	changes := r.common.Changes()
	now := r.clock().Mono
	r.lookups, r.paths = r.lookups[:0], r.paths[:0]
	for _, p := range peers {
		l := p.Location()
		l.Unqueue()
		switch {
		case p.NeedsRoute(l):
			r.lookups = append(r.lookups, lookup{peer: p, at: l, local: true})
		case p.NeedsPathMTU(l, now, true), p.NeedsPathMTU(l, now, false):
			r.paths = append(r.paths, l)
		}
	}
	if r.askPaths(now) != nil || r.askRoutes() != nil || r.askSources() != nil || r.askEntries() != nil {
		return r.asked - before, nil, true // the next batch to these peers queues them again
	}
	for i := range r.lookups {
		l := &r.lookups[i]
		l.at.SetPathMTU(now, l.route.PathMTU, l.route.Reported)
		old := l.at.LastRoute()
		r.decide(now, l, changes)
		if l.rerouted(old) {
			rerouted = append(rerouted, l.peer)
		}
	}
	clear(r.lookups)
	clear(r.paths)
	return r.asked - before, rerouted, false
}

// question returns the question without a source.
func (r *routes) question(l *lookup) link.Question {
	return r.questionTo(l.at)
}

func (r *routes) questionTo(at *peer.Location) link.Question {
	return link.Question{Remote: at.Received().Remote, Port: uint16(r.port.Load()), Mark: r.mark.Load()}
}

// ask asks r.questions. The answers are in r.answers.
func (r *routes) ask() error {
	if len(r.questions) == 0 {
		return nil
	}
	r.asked += len(r.questions)
	return r.kernel.Ask(r.questions, r.answers)
}

// askPaths asks for the MTUs of paths. No change of the routes announces one.
func (r *routes) askPaths(now clock.Time) error {
	r.questions = r.questions[:0]
	for _, at := range r.paths {
		r.questions = append(r.questions, r.questionTo(at))
	}
	if err := r.ask(); err != nil {
		return err
	}
	for i, at := range r.paths {
		at.SetPathMTU(now, r.answers[i].PathMTU, r.answers[i].Reported)
	}
	return nil
}

func (r *routes) askRoutes() error {
	r.questions = r.questions[:0]
	for i := range r.lookups {
		r.questions = append(r.questions, r.question(&r.lookups[i]))
	}
	err := r.ask()
	for i := range r.lookups {
		r.lookups[i].route = r.answers[i]
	}
	return err
}

// askSources asks whether the sticky sources are still addresses of this host. The
// kernel sends from an address whose interface is down, but nothing arrives there.
// Peers share few different sources.
func (r *routes) askSources() error {
	r.questions = r.questions[:0]
	index := func(a netip.Addr) int {
		for i := range r.questions {
			if r.questions[i].Remote.Addr() == a {
				return i
			}
		}
		r.questions = append(r.questions, link.Question{Remote: netip.AddrPortFrom(a, 1)})
		return len(r.questions) - 1
	}
	for i := range r.lookups {
		if l := &r.lookups[i]; l.sticky() && l.at.Route() != nil {
			index(l.at.Received().Source)
		}
	}
	if len(r.questions) == 0 {
		return nil
	}
	n := len(r.questions)
	if err := r.ask(); err != nil {
		return err
	}
	for i := range r.lookups {
		if l := &r.lookups[i]; l.sticky() && l.at.Route() != nil {
			if i := index(l.at.Received().Source); i < n {
				l.local = r.answers[i].Local
			}
		}
	}
	return nil
}

// askEntries asks for the entries of the routing table that pins needs, for endpoints
// whose route does not leave by the interface that received.
func (r *routes) askEntries() error {
	for i := range r.lookups {
		l := &r.lookups[i]
		received := l.at.Received()
		if !l.sticky() || received.SourceIndex == 0 || received.SourceIndex == l.route.Interface {
			continue
		}
		best := r.question(l)
		best.Source, best.Entry = received.Source, true
		back := best
		back.Interface = received.SourceIndex
		r.questions = append(r.questions[:0], best, back)
		if err := r.ask(); err != nil {
			return err
		}
		l.best, l.back = r.answers[0], r.answers[1]
	}
	return nil
}

// sticky reports whether there is a source that routes may affect.
func (l *lookup) sticky() bool {
	e := l.at.Received()
	return e.Source.IsValid() && !e.LinkLocal()
}

// pins reports whether replies from the address that received are to leave by the
// interface that received, too. That is so if the best entry leads elsewhere, but the
// same table has another entry for the same prefix: then both interfaces are good, and
// the one that received belongs to the address. If there is only a wider entry, or
// none, replies take another way on purpose.
func (l *lookup) pins() bool {
	received := l.at.Received()
	return l.best.Found && l.back.Found && l.best.Interface != received.SourceIndex &&
		l.best.Table == l.back.Table && l.best.Bits == l.back.Bits &&
		(l.back.Running || l.back.Interface == 0)
}

// rerouted reports whether packets to the peer leave another way than by the route that
// was known before: from another address, through another interface or gateway, or at
// all again; or whether its last handshake message could not be sent.
func (l *lookup) rerouted(old *peer.Route) bool {
	cut := !l.route.Found || !l.route.Running
	was := l.peer.SetCut(cut)
	switch {
	case cut:
		return false
	case was, l.sticky() && !l.local, l.peer.Unsent():
		return true
	}
	return old != nil && !old.SamePath(&peer.Route{Found: true, Interface: l.route.Interface, Gateway: l.route.Gateway, Source: l.route.Source})
}

// decide records the result of a lookup, and forgets the sticky source if the route
// has changed.
func (r *routes) decide(now clock.Time, l *lookup, changes *peer.Changes) {
	next := r.shared(peer.Route{
		Found: l.route.Found, Interface: l.route.Interface, Gateway: l.route.Gateway, Source: l.route.Source,
		Tunnel: l.route.Tunnel, MTU: l.route.MTU, Pinned: l.pins(),
	})
	r.remember(l, next.Pinned)
	old := l.at.LastRoute()
	switch {
	case !next.Found && old != nil:
		// Without any route the source stays: the route may come back as it was.
		kept := *old
		kept.Pinned = old == l.at.Route() && old.Pinned // not that of another source
		l.at.SetRoute(r.shared(kept), changes.Count())
	case l.sticky() && l.moved(old, next, changes):
		unpinned := *next
		unpinned.Pinned = false
		l.peer.Reroute(now, l.at, r.shared(unpinned), changes.Count())
	default:
		l.at.SetRoute(next, changes.Count())
	}
}

// moved reports whether the source must be chosen anew (A52).
func (l *lookup) moved(old, next *peer.Route, changes *peer.Changes) bool {
	received := l.at.Received()
	switch {
	case !l.local:
		return true
	case next.Source == received.Source:
		return false // the kernel would choose the same one
	case old == nil:
		return changes.Affect(received.Remote.Addr(), l.at.Checked()) // since the datagram arrived
	}
	return !old.SamePath(next) || old == l.at.Route() && old.Pinned && !next.Pinned
}

// shared returns a copy of route that all peers with this route share.
func (r *routes) shared(route peer.Route) *peer.Route {
	if known := r.known[route]; known != nil {
		return known
	}
	if len(r.known) >= maxKnownRoutes {
		clear(r.known)
	}
	r.known[route] = &route
	return &route
}

// remember records for replyTo whether replies to an arrival are pinned.
func (r *routes) remember(l *lookup, pinned bool) {
	e := l.at.Received()
	if !l.sticky() || e.SourceIndex == 0 {
		return
	}
	at := arrival{e.Source, e.SourceIndex}
	old := r.pinned.Load()
	if old != nil && (*old)[at] == pinned {
		return
	}
	next := map[arrival]bool{}
	if old != nil && len(*old) < maxArrivals {
		for k, v := range *old {
			next[k] = v
		}
	}
	next[at] = pinned
	r.pinned.Store(&next)
}

// replyTo returns the endpoint for a reply to an unknown sender, for which no route is
// looked up. The interface is used if it was for the last peer whose datagrams arrived
// at the same address and interface.
func (r *routes) replyTo(from wire.Endpoint) wire.Endpoint {
	if from.LinkLocal() {
		return from
	}
	if known := r.pinned.Load(); known == nil || !(*known)[arrival{from.Source, from.SourceIndex}] {
		from.SourceIndex = 0
	}
	return from
}
