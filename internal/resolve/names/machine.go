package names

import (
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wgd/internal/clock"
	"wgd/key"
)

const (
	maxAsking   = 16 // lookups at the same time
	askInterval = 5 * time.Millisecond
	askBurst    = 100

	minGap = 5 * time.Second  // between lookups of one name because of silence
	maxGap = 15 * time.Second // the same, when that did not help

	minTTL     = time.Second      // also for shorter ones
	unknownTTL = 15 * time.Second // where the server knows none
	partialTTL = time.Minute      // at most, when the addresses of a family are not known

	firstRetry  = time.Second
	maxRetry    = 30 * time.Second
	afterChange = time.Second // at least between lookups because of changes of the network
)

// A Machine follows the names of all peers of an interface.
type Machine struct {
	random  io.Reader
	hosts   map[string]*host
	peers   map[key.Public]*peer
	created uint64 // hosts, to order them

	urgent, routine schedule
	paused          bool
	asking          int
	bucket          clock.Bucket
	uses            []*peer // whose endpoint has changed
	reports         []Report
}

// New returns a Machine without peers. It takes from random only how much retries
// are spread.
func New(random io.Reader) *Machine {
	return &Machine{random: random, hosts: map[string]*host{}, peers: map[key.Public]*peer{}}
}

// A Use says that a peer has another endpoint.
type Use struct {
	Peer     key.Public
	Endpoint netip.AddrPort
	Moved    bool // it had one before: a handshake is due, to learn whether it is there
}

// A Report says, once for each change, that the lookups of a name fail, or that they
// succeed again. It is for logs.
type Report struct {
	Peer key.Public // the first one that has the name
	Why  string     // "": they succeed
}

// An Answer is a lookup that succeeded.
type Answer struct {
	Addresses []netip.Addr  // at least one
	TTL       time.Duration // 0: unknown

	// Without6 and Without4 say that nobody could tell the addresses of this family.
	Without6, Without4 bool
}

// Set makes a peer follow a name. current is the endpoint that the peer has at the
// time, if any. If the peer follows this name already, nothing happens.
func (m *Machine) Set(now clock.Time, id key.Public, name string, port uint16, current netip.AddrPort) {
	name = strings.ToLower(name)
	old := m.peers[id]
	if old != nil && old.host.name == name && old.port == port {
		return
	}
	h := m.hosts[name]
	if h == nil {
		m.created++
		h = &host{name: name, created: m.created, index: -1}
		m.hosts[name] = h
		m.schedule(h, now, true)
	}
	p := &peer{id: id, host: h, port: port, current: current, good: current, index: len(h.peers)}
	m.peers[id] = p
	h.peers = append(h.peers, p)
	if old != nil {
		m.leave(old) // only now: the name may be the same
	}
	if len(h.addrs) > 0 {
		m.consider(p, true, netip.Addr{})
	}
}

// Remove makes a peer follow no name.
func (m *Machine) Remove(id key.Public) {
	if p := m.peers[id]; p != nil {
		delete(m.peers, id)
		m.leave(p)
	}
}

// leave takes a peer away from its host.
func (m *Machine) leave(p *peer) {
	p.removed = true
	h := p.host
	last := h.peers[len(h.peers)-1]
	h.peers[p.index], last.index = last, p.index
	h.peers = slices.Delete(h.peers, len(h.peers)-1, len(h.peers))
	if len(h.peers) == 0 && !h.asking {
		m.forget(h)
	}
}

// Silent says that nothing has come back from a peer for a while, but that no
// handshake has failed yet. If this comes 10 s after data to which nothing came back,
// a new address is known before the handshake that follows after 15 s.
func (m *Machine) Silent(now clock.Time, id key.Public) {
	p := m.peers[id]
	if p == nil {
		return
	}
	p.silent = true
	m.press(now, p.host)
	if p.held {
		m.use(p, p.candidates()[0])
	}
}

// Unanswered says that a handshake with a peer got no answer. It returns the endpoint
// for the next one, if that is another one.
func (m *Machine) Unanswered(now clock.Time, id key.Public) (netip.AddrPort, bool) {
	p := m.peers[id]
	if p == nil {
		return netip.AddrPort{}, false
	}
	p.silent, p.refusals = true, 0
	m.press(now, p.host)
	return p.next()
}

// Refused says that nothing could be sent to a peer's endpoint, because there is no
// route to it, or that ICMP says so. It returns the endpoint to try at once. Once all
// were refused, it returns none until Unanswered, Heard or NetworkChanged.
func (m *Machine) Refused(now clock.Time, id key.Public) (netip.AddrPort, bool) {
	p := m.peers[id]
	if p == nil {
		return netip.AddrPort{}, false
	}
	p.silent = true
	m.press(now, p.host)
	if p.refusals++; p.refusals >= len(p.candidates()) {
		return netip.AddrPort{}, false
	}
	return p.next()
}

// Heard says that a handshake with a peer succeeded, or that its endpoint has
// changed because something authentic came from there.
func (m *Machine) Heard(id key.Public, from netip.AddrPort) {
	p := m.peers[id]
	if p == nil {
		return
	}
	p.current, p.good = from, from
	p.roamed = !p.known()
	p.held = p.roamed && (p.held || p.pending)
	p.silent, p.pending, p.refusals = false, false, 0
	p.host.pressed = 0
}

// NetworkChanged says that addresses or routes of this computer have changed, that
// its name servers have, or that it was asleep.
func (m *Machine) NetworkChanged(now clock.Time) {
	for _, h := range m.hosts {
		h.failures, h.pressed = 0, 0
		if h.asking {
			h.again = true // the answer may be that of another network, or never come
			continue
		}
		m.schedule(h, min(h.due, max(now, h.next(afterChange))), h.urgent)
	}
	for _, p := range m.peers {
		p.refusals = 0
	}
}

// Pause says that no endpoint is needed for now. Then each name is looked up only until
// something is known about it: its addresses, or why it has none.
func (m *Machine) Pause() {
	m.paused = true
	for _, h := range m.hosts {
		if h.lookedUp() {
			m.unschedule(h)
		}
	}
}

// Resume ends a pause. What was due during the pause is due now, and names that had no
// addresses are looked up again without waiting longer.
func (m *Machine) Resume(now clock.Time) {
	if !m.paused {
		return
	}
	m.paused = false
	for _, h := range m.hosts {
		if h.asking {
			continue
		}
		due := h.due
		if h.failure != "" {
			h.failures = 0
			due = min(due, max(now, h.next(afterChange)))
		}
		m.schedule(h, due, h.urgent)
	}
}

// Answered says that the lookup of a name has succeeded.
func (m *Machine) Answered(now clock.Time, name string, a Answer) {
	h := m.ended(name)
	if h == nil {
		return
	}
	old := h.addrs
	h.addrs = alternate(complete(a, old))
	m.report(h, "")
	h.failures, h.failure = 0, ""
	m.schedule(h, h.refresh(now, a), h.again && m.waits(h))
	fresh := slices.IndexFunc(h.addrs, func(a netip.Addr) bool { return !slices.Contains(old, a) })
	changed := fresh >= 0 || len(old) != len(h.addrs)
	if !changed {
		return
	}
	h.pressed = 0
	var found netip.Addr
	if fresh >= 0 {
		found = h.addrs[fresh]
	}
	for _, p := range h.peers {
		m.consider(p, len(old) == 0, found)
	}
}

// Failed says that the lookup of a name has failed. ttl is for how long name servers
// will repeat that, if they say so; why is for people.
func (m *Machine) Failed(now clock.Time, name string, ttl time.Duration, why string) {
	h := m.ended(name)
	if h == nil {
		return
	}
	if h.again { // what failed was on another network, or was ended for that
		m.schedule(h, max(now, h.next(afterChange)), m.waits(h))
		return
	}
	if h.failure == "" {
		h.failing = now
	}
	m.report(h, why)
	h.failure = why
	pause := firstRetry << min(h.failures, 10)
	pause = max(min(pause, maxRetry), min(ttl, maxRetry))
	h.failures++
	m.schedule(h, now.Add(pause+m.spread(pause/8)), m.waits(h))
}

// report reports the end of a lookup, if it is another one than that of the last.
func (m *Machine) report(h *host, why string) {
	if why != h.failure {
		m.reports = append(m.reports, Report{h.peers[0].id, why})
	}
}

// ended returns the host whose lookup has ended, or nil if no peer has the name any
// more.
func (m *Machine) ended(name string) *host {
	h := m.hosts[name]
	if h == nil || !h.asking {
		return nil
	}
	h.asking = false
	m.asking--
	if len(h.peers) == 0 {
		m.forget(h)
		return nil
	}
	return h
}

// waits reports whether a peer needs an address of the host soon.
func (m *Machine) waits(h *host) bool {
	return slices.ContainsFunc(h.peers, func(p *peer) bool { return p.silent || !p.current.IsValid() })
}

// spread returns a random time below d.
func (m *Machine) spread(d time.Duration) time.Duration {
	var b [1]byte
	if _, err := io.ReadFull(m.random, b[:]); err != nil {
		return 0
	}
	return d * time.Duration(b[0]) / 256
}

// NextAsk returns a name to look up now, if there is one. The lookup ends with
// Answered or Failed.
func (m *Machine) NextAsk(now clock.Time) (name string, ok bool) {
	if m.asking >= maxAsking {
		return "", false
	}
	from := &m.urgent
	if from.due() > now {
		from = &m.routine
	}
	if from.due() > now || !m.bucket.Take(now, askBurst, askInterval) {
		return "", false
	}
	h := (*from)[0]
	m.unschedule(h)
	if h.urgent && len(h.addrs) > 0 {
		h.pressed++
	}
	h.asking, h.asked, h.everAsked, h.again = true, now, true, false
	m.asking++
	return h.name, true
}

// NextUse returns a peer that has another endpoint, once for each.
func (m *Machine) NextUse() (u Use, ok bool) {
	for len(m.uses) > 0 {
		p := m.uses[0]
		m.uses[0] = nil
		m.uses = m.uses[1:]
		p.queued = false
		if p.pending && !p.removed {
			p.pending = false
			return Use{Peer: p.id, Endpoint: p.current, Moved: p.moved}, true
		}
	}
	m.uses = nil
	return Use{}, false
}

// NextReport returns a Report, once for each.
func (m *Machine) NextReport() (r Report, ok bool) {
	if len(m.reports) == 0 {
		m.reports = nil
		return r, false
	}
	r = m.reports[0]
	m.reports = m.reports[1:]
	return r, true
}

// HasNews reports whether NextUse or NextReport may have something to return.
func (m *Machine) HasNews() bool { return len(m.uses)+len(m.reports) > 0 }

// NextTimeout returns when NextAsk may have a name, if nothing happens before.
func (m *Machine) NextTimeout() clock.Time {
	due := min(m.urgent.due(), m.routine.due())
	if m.asking >= maxAsking || due == clock.Never {
		return clock.Never
	}
	return max(due, m.bucket.Ready(askBurst, askInterval))
}

// Status is what is known about a peer's name.
type Status struct {
	Name      string
	Addresses []netip.Addr // of the last answer
	Endpoint  netip.AddrPort
	Failure   string     // why the last lookup failed; "": it did not
	Since     clock.Time // of the first failure in a row
}

// Status returns what is known about the name of a peer, if it follows one.
func (m *Machine) Status(id key.Public) (Status, bool) {
	p := m.peers[id]
	if p == nil {
		return Status{}, false
	}
	s := Status{Name: p.host.name, Addresses: slices.Clone(p.host.addrs), Endpoint: p.current, Failure: p.host.failure}
	if s.Failure != "" {
		s.Since = p.host.failing
	}
	return s, true
}
