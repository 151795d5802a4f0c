package core

import (
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/pathmtu"
	"wgd/internal/peer"
)

// A silentPath is what is known about a peer whose hosts answer no probes. Where the path is
// not known to carry everything, the peer itself is asked in pauses, by a
// pathmtu.KeepaliveSearch.
type silentPath struct {
	searches int // in a row without an answer
	last     *search
	pauses   *pathmtu.KeepaliveSearch
}

// silentSearch records that a search had no answer, and returns how many before it had none.
func (m *Machine) silentSearch(now clock.Time, p *member, s *search) (before int) {
	q := m.silent[p]
	if q == nil || !q.about(p.shared.Location()) || q.last.limits.Top != s.limits.Top {
		q = &silentPath{}
		m.silent[p] = q
	}
	q.last = s
	if q.pauses == nil {
		q.begin(now)
	}
	q.searches++
	return q.searches - 1
}

// about reports whether q is about the path to at.
func (q *silentPath) about(at *peer.Location) bool {
	return q.last.at.Received().Remote == at.Received().Remote
}

// begin begins to ask the peer itself, not before due. A path that carries less than every
// path of IPv6 is not looked for.
func (q *silentPath) begin(due clock.Time) {
	fallback := pathmtu.Minimum6
	if known := q.last.limits.Known; known > 0 {
		fallback = known
	}
	q.pauses = pathmtu.NewKeepaliveSearch(due, q.last.limits.Top, fallback)
}

func activityOf(p *peer.Peer) pathmtu.Activity {
	return pathmtu.Activity{
		Sent: p.LastSent(), Received: p.LastReceived(),
		Pending: p.Unanswered() != 0 || p.Unreplied() != 0,
	}
}

// A silent peer is asked in a pause of which there is enough left before the session is
// renewed: probes are no reason for a new one.
func pauseAt(m *Machine, p *member) clock.Time {
	q := m.silent[p]
	if q == nil || !m.tunables.PathMTUProbes {
		return clock.Never
	}
	at := q.pauses.Deadline(activityOf(p.shared))
	if k := p.shared.Sessions().Sending(); k == nil || q.pauses.Waiting() &&
		at.Add(pathmtu.KeepaliveTime) >= k.Created.Add(m.tunables.RekeyAfterTime) {
		return clock.Never
	}
	return at
}

func probeInPause(m *Machine, now clock.Now, p *member) {
	q, at := m.silent[p], p.shared.Location()
	if !q.about(at) {
		delete(m.silent, p)
		return
	}
	if mtu := q.pauses.Timeout(now.Mono, activityOf(p.shared)); mtu > 0 {
		frame := make([]byte, packet.MaxEchoFrame)
		m.emit(Output{Kind: Probe, Peer: p.shared, Message: frame[:q.last.echo.Put(frame)], Size: mtu - q.last.headers})
	}
	raise := now.Mono.Add(raisePath)
	switch result, mtu := q.pauses.Result(); result {
	case pathmtu.Searching:
		return
	case pathmtu.Clear:
		q.last.limits.Known = 0
		at.SetProbed(0, raise)
	case pathmtu.Narrow:
		q.last.limits.Known = mtu
		at.SetProbed(mtu, raise)
		m.tellPathMTU(now.Mono, p, q.last)
	}
	q.begin(raise)
}
