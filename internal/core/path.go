package core

import (
	"encoding/binary"
	"io"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/pathmtu"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

const (
	// A path that is in use is checked every checkPath. One that is known to be narrow is
	// checked every checkNarrow, or every checkMinimum if it carries no more than every path
	// does; and it is tried with more every raisePath (RFC 8899). After a search without an
	// answer, the next one waits for checkPath, then for twice as long, up to raisePath.
	checkPath    = 10 * time.Second
	checkNarrow  = time.Minute
	checkMinimum = 5 * time.Minute
	raisePath    = 10 * time.Minute

	// searchTime is longer than any search.
	searchTime = time.Minute

	// At most maxSearches are in progress. searchBurst may begin at once, and then one per
	// searchInterval.
	maxSearches    = 256
	searchBurst    = 64
	searchInterval = 20 * time.Millisecond
)

// search is the search for the MTU of the path to a peer.
type search struct {
	*pathmtu.Search
	at      *peer.Location
	headers int // of the datagrams to at
	limits  pathmtu.Limits
	echo    packet.Echo
	answers peer.Probing
}

// Probe is called when the MTU of the path to a peer matters and must be looked for.
func (m *Machine) Probe(now clock.Now, shared *peer.Peer, wish peer.ProbeWish) {
	p := known(shared)
	if p == nil || !m.up || m.searches[p] != nil || !m.tunables.PathMTUProbes || len(m.searches) >= maxSearches {
		return
	}
	at := shared.Location()
	limits, headers, ok := limitsOf(now.Mono, at, wish.MTU)
	if k := shared.Sessions().Sending(); k == nil || !k.Usable(now.Mono) || at.LastRoute() == nil {
		return
	}
	if !ok || limits.Top <= limits.Minimum {
		at.SetProbed(0, now.Mono)
		at.PostponeProbe(now.Mono.Add(checkNarrow))
		return
	}
	if !m.searchRate.Take(now.Mono, searchBurst, searchInterval) {
		return
	}
	var random [10]byte
	if _, err := io.ReadFull(m.random, random[:]); err != nil {
		return
	}
	echo := packet.Echo{
		From: wish.From, To: wish.To,
		ID: binary.LittleEndian.Uint16(random[:]), Token: binary.LittleEndian.Uint64(random[2:]),
	}
	at.PostponeProbe(now.Mono.Add(searchTime))
	m.searches[p] = &search{
		Search: pathmtu.New(now.Mono, echo, limits), at: at, headers: headers, limits: limits, echo: echo,
		answers: peer.Probing{ID: echo.ID, Token: echo.Token},
	}
	m.continueSearch(now, p)
	m.look(now, p)
}

// limitsOf returns between which MTUs to search on the path to a location if the interface
// has the MTU inner, and the length of the headers. It reports false while the route is
// not known, and if it leads into a tunnel, whose MTU is the limit already.
func limitsOf(now clock.Time, at *peer.Location, inner int) (l pathmtu.Limits, headers int, ok bool) {
	r := at.LastRoute()
	if r == nil || r.Tunnel || r.MTU == 0 {
		return l, 0, false
	}
	headers, l.Minimum = batch.Headers4, pathmtu.Minimum4
	if at.Received().Remote.Addr().Is6() {
		headers, l.Minimum = batch.Headers6, pathmtu.Minimum6
	}
	l.Top = min(inner+wire.MinDataSize+headers, r.MTU)
	if mtu := at.KernelMTU(now); mtu > 0 {
		l.Top = min(l.Top, mtu)
	}
	if l.Known, l.Raise = at.Probed(now); l.Known >= l.Top {
		l.Known = 0
	}
	return l, headers, true
}

// ProbeAnswered is called when a probe was answered.
func (m *Machine) ProbeAnswered(now clock.Now, shared *peer.Peer, a packet.EchoAnswer) {
	p := known(shared)
	if p == nil || m.searches[p] == nil {
		return
	}
	m.searches[p].Answered(now.Mono, a)
	m.continueSearch(now, p)
	m.look(now, p)
}

// The next round of a search is due when the last one has ended.
func searchAt(m *Machine, p *member) clock.Time {
	if s := m.searches[p]; s != nil {
		return s.Deadline()
	}
	return clock.Never
}

func searchNext(m *Machine, now clock.Now, p *member) {
	m.searches[p].Timeout(now.Mono)
	m.continueSearch(now, p)
}

// continueSearch sends what the search of p wants to send, or records its result.
func (m *Machine) continueSearch(now clock.Now, p *member) {
	s := m.searches[p]
	at := p.shared.Location()
	result, mtu := s.Result()
	switch {
	case at.Received().Remote != s.at.Received().Remote: // another path
		m.endSearch(p)
	case result == pathmtu.Searching:
		if b := at.Probing(); b == nil || b.Doubt != s.Doubt() {
			s.answers.Doubt = s.Doubt()
			answers := s.answers
			at.SetProbing(&answers)
		}
		for probe, ok := s.Poll(); ok; probe, ok = s.Poll() {
			m.emit(Output{Kind: Probe, Peer: p.shared, Message: probe.Frame, Size: max(probe.MTU-s.headers, 0)})
		}
	default:
		m.endSearch(p)
		m.recordSearch(now.Mono, p, s, result, mtu)
	}
}

func (m *Machine) endSearch(p *member) {
	if s := m.searches[p]; s != nil {
		s.at.SetProbing(nil)
		s.at.PostponeProbe(0)
		delete(m.searches, p)
	}
}

// recordSearch publishes the result of a search.
func (m *Machine) recordSearch(now clock.Time, p *member, s *search, result pathmtu.Result, mtu int) {
	at, raise := p.shared.Location(), now.Add(raisePath)
	next := checkPath
	switch result {
	case pathmtu.Silent:
		next = min(checkPath<<min(m.silentSearch(now, p, s), 10), raisePath)
		if !p.shared.Unproven(at) { // else new connections stay cautious
			at.SetProbed(s.limits.Known, now)
		}
	case pathmtu.Clear:
		delete(m.silent, p)
		at.SetProbed(0, raise)
	case pathmtu.Narrow:
		delete(m.silent, p)
		if mtu != s.limits.Known || s.limits.Raise {
			at.SetProbed(mtu, raise)
		}
		if next = checkNarrow; mtu <= s.limits.Minimum {
			next = checkMinimum
		}
	}
	at.PostponeProbe(now.Add(next))
	m.tellPathMTU(now, p, s)
}

// tellPathMTU tells the host inside that was asked what the path carries: the other end of
// the tunnel does not know.
func (m *Machine) tellPathMTU(now clock.Time, p *member, s *search) {
	mtu, _ := p.shared.Location().PathMTU(now)
	if mtu == 0 {
		return
	}
	// Where the other end pads what it sends, a shorter packet is sent as a longer one.
	const padding = 16
	if frame := s.TooBig((mtu - s.headers - wire.MinDataSize) &^ (padding - 1)); frame != nil {
		m.emit(Output{Kind: Probe, Peer: p.shared, Message: frame})
	}
}
