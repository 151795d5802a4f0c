package history

import (
	"time"

	"wgd/conf"
	"wgd/internal/session"
	"wgd/key"
)

// BackWithin is how long a peer may be quiet without an interruption: two attempts of a
// handshake. One lost packet is none.
const BackWithin = 10 * time.Second

// A Replay makes the spans of the peers of an interface from the lines of the log. The
// spans of each peer come in their order.
type Replay struct {
	survey *Survey
	emit   func(Span)
	peers  map[key.Public]*member
	gaps   []gap // of which peers that were never seen must be told, the latest last

	run   string
	seq   uint64    // the last number of the run
	boot  time.Time // when SinceBoot was zero, by the last event so far, or else the first
	shown time.Time // likewise, for the times of spans
	last  time.Time // up to which nothing is missing
	begun bool      // last is set: there was an event
	ended time.Time // when the daemon ended; zero: it has not, as far as is known
	gap   *gap      // one that the next event ends, or nil
	alone bool      // a wgd watch was started since the daemon has ended
}

// A gap is a time of which the log says nothing.
type gap struct {
	from time.Time
	to   time.Time // zero: the next event tells
	// until is when sessions that were made in the gap have expired.
	until time.Time
	fresh bool // to is the start of a daemon, which has no sessions
}

// A member is what a Replay knows about a peer.
type member struct {
	key      key.Public
	lastSeen time.Time // the last event that shows that it was there, or zero

	span    Span      // the current one; its State is zero if the peer is not connected
	known   time.Time // Unknown: when the gap ended
	expires time.Time // Connected: when the session does. Unknown: when it would have
	quiet   time.Time // Connected: since when it is quiet; zero: it is not
}

// NewReplay returns the replay of a log that was surveyed. It calls emit with each span.
func NewReplay(s *Survey, emit func(Span)) *Replay {
	return &Replay{survey: s, emit: emit, peers: map[key.Public]*member{}}
}

// Add adds the next line of the log, in the order in which the survey had them.
func (r *Replay) Add(l *Line) {
	if l.Interface != r.survey.name {
		return
	}
	e := &l.Event
	if l.Run != r.run && e.Kind != conf.WatchStarted {
		r.newRun(l.Run, e)
	}
	switch e.Kind {
	case conf.WatchStarted:
		r.alone = true
		return
	case conf.EventsBegin:
		r.ended, r.alone = time.Time{}, false // if it had, this was another run
		r.missedUpTo(e)
		return
	case conf.EventsEnd:
		r.ended = r.at(e)
		r.missedUpTo(e)
		return
	case conf.EventsMissed:
		if e.Seq > r.seq {
			r.openGap()
			r.seq, r.gap.to = e.Seq, r.at(e)
		}
		return
	}
	if e.Seq <= r.seq {
		return // it is in the log twice
	}
	if e.Seq > r.seq+1 {
		r.openGap()
	}
	r.seq = e.Seq
	at := r.at(e)
	if hasBothClocks(e) {
		r.boot = e.Time.Add(-e.SinceBoot)
	}
	r.closeGap(at)
	r.last, r.begun = later(r.last, at), true
	r.event(e, at)
}

// newRun is called for the first line of another run of the daemon. Its number says
// whether the run is seen from its start.
func (r *Replay) newRun(name string, e *conf.Event) {
	r.stop()
	seenToEnd := !r.ended.IsZero() && !r.alone
	r.run, r.seq, r.ended, r.alone = name, 0, time.Time{}, false
	r.boot, r.shown = r.survey.boots(name)
	if seenToEnd {
		return // no daemon ran meanwhile
	}
	r.openGap()
	r.gap.fresh = true
}

// stop ends all spans if the daemon has ended.
func (r *Replay) stop() {
	if r.ended.IsZero() {
		return
	}
	r.closeGap(r.ended)
	r.endAll(r.ended, Stopped)
	r.last = later(r.last, r.ended)
}

// missedUpTo is called when a reader of the daemon begins or ends. At the beginning, it
// gets all events after the number of e, and all that happen from then on. At the end, that
// is the number of the last one.
func (r *Replay) missedUpTo(e *conf.Event) {
	if e.Seq > r.seq {
		r.openGap()
		r.seq = e.Seq
	}
	if r.gap != nil && r.gap.to.IsZero() {
		r.gap.to = r.at(e)
	}
}

// at returns the time of an event on the clock of its run, see the package's comment.
func (r *Replay) at(e *conf.Event) time.Time {
	if hasBothClocks(e) {
		return r.shown.Add(e.SinceBoot)
	}
	return e.Time.Add(r.shown.Sub(r.boot))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// openGap notes that something is missing after the last event.
func (r *Replay) openGap() {
	if r.gap == nil {
		r.gap = &gap{from: r.last}
	}
	r.gap.fresh, r.gap.to = false, time.Time{}
}

// closeGap ends the gap, if there is one, at the first event after it, or earlier if that
// is known.
func (r *Replay) closeGap(at time.Time) {
	g := r.gap
	if g == nil {
		return
	}
	r.gap = nil
	if g.to.IsZero() || at.Before(g.to) {
		g.to = at
	}
	g.to = later(g.from, g.to)
	g.until = g.to
	if !g.fresh {
		g.until = g.to.Add(session.RejectAfterTime)
	}
	r.gaps = append(r.gaps, *g)
	for _, p := range r.peers {
		r.unknown(p, g)
	}
}

// unknown applies a gap to a peer.
func (r *Replay) unknown(p *member, g *gap) {
	r.advance(p, g.from)
	from := g.from
	if p.span.State == Connected {
		if !p.quiet.IsZero() && from.Sub(p.quiet) <= BackWithin {
			from, p.quiet = p.quiet, time.Time{} // it may have been heard in time
		}
		r.endConnected(p, from, Missed)
	}
	if p.span.State == 0 {
		p.span = Span{Peer: p.key, State: Unknown, From: from}
	}
	p.known, p.expires = g.to, g.until
	if g.fresh {
		r.end(p, g.to, Known)
	}
}

// peer returns the peer of an event.
func (r *Replay) peer(e *conf.Event, at time.Time) *member {
	p := r.peers[e.Peer]
	if p == nil {
		p = &member{key: e.Peer}
		r.peers[e.Peer] = p
		for i := range r.gaps {
			r.unknown(p, &r.gaps[i])
		}
	}
	r.advance(p, at)
	return p
}

// event applies an event of the interface or of a peer.
func (r *Replay) event(e *conf.Event, at time.Time) {
	if e.Peer.IsZero() {
		switch e.Kind {
		case conf.WentDown:
			r.endAll(at, Down)
		case conf.SessionEnded:
			r.endAll(at, endOf(e.Cause))
		}
		return
	}
	if !isOfPeer(e) {
		return
	}
	p := r.peer(e, at)
	switch e.Kind {
	case conf.HandshakeDone:
		r.session(p, e, at)
	case conf.EndpointMoved:
		if p.span.State == Connected {
			p.span.addEndpoint(e.Endpoint)
			p.lastSeen = at
		}
	case conf.PeerQuiet:
		r.onOldSession(p, at)
		if p.span.State == Connected && p.quiet.IsZero() {
			p.quiet = at
		}
	case conf.PeerBack:
		r.onOldSession(p, at)
		r.back(p, at)
	case conf.SessionEnded:
		r.endPeer(p, at, endOf(e.Cause))
	}
}

// endOf returns the reason for a cause of session-ended.
func endOf(cause string) End {
	switch cause {
	case "expired":
		return Expired
	case "no-answer":
		return NoAnswer
	case "removed", "all-removed":
		return Removed
	}
	return Ended
}

// onOldSession is called when a peer has a session. If nothing was known about it, the
// session was made in the gap.
func (r *Replay) onOldSession(p *member, at time.Time) {
	if p.span.State == Unknown {
		r.end(p, at, Known)
		p.span = Span{Peer: p.key, State: Connected, From: at}
	}
}

// back ends the time in which a peer was quiet. It may have been an interruption.
func (r *Replay) back(p *member, at time.Time) {
	if p.span.State != Connected {
		return
	}
	p.lastSeen = at
	if !p.quiet.IsZero() && at.Sub(p.quiet) > BackWithin {
		endpoints := p.span.Endpoints
		r.end(p, p.quiet, Quiet)
		p.span = Span{Peer: p.key, State: Connected, From: at}
		if n := len(endpoints); n > 0 {
			p.span.addEndpoint(endpoints[n-1])
		}
	}
	p.quiet = time.Time{}
}

// session begins a span, or continues it, with a new session.
func (r *Replay) session(p *member, e *conf.Event, at time.Time) {
	made := at
	if !e.Initiator {
		made = at.Add(-e.After) // the keys are as old as our response
	}
	switch {
	case p.span.State == Unknown && e.Renewed:
		// There was a session, and no event of it after the gap.
		from := p.known
		r.endUnknown(p, from)
		p.span = Span{Peer: p.key, State: Connected, From: from}
	case p.span.State == Unknown:
		r.endUnknown(p, at)
	case p.span.State == Connected && !p.quiet.IsZero() && at.Sub(p.quiet) > BackWithin:
		r.end(p, p.quiet, Quiet)
	}
	if p.span.State == 0 {
		p.span = Span{Peer: p.key, State: Connected, From: at}
		p.expires = time.Time{}
	}
	p.span.Sessions++
	p.span.addEndpoint(e.Endpoint)
	p.quiet, p.lastSeen = time.Time{}, at
	p.expires = later(p.expires, made.Add(session.RejectAfterTime))
}

// advance ends the span of a peer if it ended before at without an event.
func (r *Replay) advance(p *member, at time.Time) {
	switch p.span.State {
	case Unknown:
		if !p.expires.After(at) {
			r.end(p, p.expires, Known)
		}
	case Connected:
		if !p.expires.After(at) {
			r.endConnected(p, p.expires, Expired)
		}
	}
}

// endPeer ends the span of a peer that has no session any more.
func (r *Replay) endPeer(p *member, at time.Time, why End) {
	if p.span.State == Connected {
		r.endConnected(p, at, why)
	}
	r.endUnknown(p, at)
}

// endConnected ends a span of a connected peer, which may have been quiet before.
func (r *Replay) endConnected(p *member, at time.Time, why End) {
	if !p.quiet.IsZero() {
		at, why = earlier(at, p.quiet), Quiet
	}
	r.end(p, at, why)
}

// endUnknown ends a span of which the state was unknown, at an event that tells it.
func (r *Replay) endUnknown(p *member, at time.Time) {
	if p.span.State == Unknown {
		r.end(p, at, Known)
	}
}

// end ends the current span of a peer.
func (r *Replay) end(p *member, at time.Time, why End) {
	s := p.span
	s.To, s.End = at, why
	p.span, p.quiet = Span{}, time.Time{}
	if s.From.Before(s.To) {
		r.emit(s)
	}
}

// endAll ends the spans of all peers, because no session is left.
func (r *Replay) endAll(at time.Time, why End) {
	for _, p := range r.peers {
		r.advance(p, at)
		r.endPeer(p, at, why)
	}
	if n := len(r.gaps); n > 0 && r.gaps[n-1].until.After(at) {
		r.gaps[n-1].until = later(at, r.gaps[n-1].to)
	}
}

// Finish ends the replay. Everything up to known is in the log; after that, and up to
// until, nothing is known.
func (r *Replay) Finish(known, until time.Time) {
	r.stop()
	known = later(known, r.last)
	until = later(until, known)
	r.closeGap(until)
	if until.After(known) {
		for _, p := range r.peers { // and it remains unknown
			r.unknown(p, &gap{from: known, to: until, until: until.Add(1)})
		}
	}
	for _, p := range r.peers {
		r.advance(p, until)
		switch {
		case p.span.State == 0:
		case !p.quiet.IsZero() && until.Sub(p.quiet) > BackWithin:
			r.endConnected(p, until, Quiet)
		default:
			r.end(p, until, Open)
		}
	}
}
