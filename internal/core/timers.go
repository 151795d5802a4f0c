package core

import (
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/session"
)

// The constants of §6.1 that are not in conf.Tunables.
const (
	// maxJitter is the maximum random delay of what both ends would otherwise do
	// at the same time.
	maxJitter = 333 * time.Millisecond

	// eraseAfter is the time from the last new session until all keys are erased
	// (A35).
	eraseAfter = 3 * session.RejectAfterTime
)

// timing returns what the data plane needs of t.
func timing(t conf.Tunables) peer.Timing {
	return peer.Timing{
		RekeyAfterTime: t.RekeyAfterTime,
		// An initiator that only receives renews as late as possible, but never
		// before RekeyAfterTime; otherwise every session would be renewed at once.
		RekeyOnReceive:     max(session.RejectAfterTime-t.KeepaliveTimeout-t.RekeyTimeout, t.RekeyAfterTime),
		RekeyAfterMessages: t.RekeyAfterMessages,
		KeepaliveTimeout:   t.KeepaliveTimeout,
		NoReply:            t.KeepaliveTimeout + t.RekeyTimeout,
		ProbePaths:         t.PathMTUProbes,
	}
}

// maxAttempts returns how many initiations are sent before the handshake is given
// up.
func (m *Machine) maxAttempts() int {
	t := &m.tunables
	return max(1, int((t.RekeyAttemptTime+t.RekeyTimeout-1)/t.RekeyTimeout))
}

// A duty is something that may become due for a peer. when computes its time from
// recorded times at each look; do must make it later.
type duty struct {
	when func(*Machine, *member) clock.Time // clock.Never: not due
	do   func(*Machine, clock.Now, *member)
}

// duties are in the order in which they are done: one may make a later one due,
// but not an earlier one.
var duties = [...]duty{
	{lostAt, loseExpired},
	{eraseAt, eraseOld},
	{retransmitAt, retransmit},
	{silentAt, reportSilent},
	{quietAt, reportQuiet},
	{noReplyAt, suspect},
	{unheardAt, suspectUnheard},
	{passiveAt, keepalivePassive},
	{persistentAt, keepalivePersistent},
	{wantedAt, beginHandshake},
	{searchAt, searchNext},
	{pauseAt, probeInPause},
	{returnAt, leaveToTimeout},
}

// NextTimeout returns when to call Timeout, or clock.Never.
func (m *Machine) NextTimeout() clock.Time {
	if len(m.looks) == 0 {
		return clock.Never
	}
	return m.looks[0].shared.NextLook()
}

// Timeout does what is due. If too many lent peers are to be returned at once, something
// is still due afterwards, and NextTimeout says so.
func (m *Machine) Timeout(now clock.Now) {
	var idle []*member
	for m.NextTimeout() <= now.Mono && len(idle) < maxReturned {
		p := m.looks[0]
		m.look(now, p)
		if returnAt(m, p) <= now.Mono {
			idle = append(idle, p)
		}
	}
	m.returnIdle(now, idle)
}

// Wake is called by the data plane when it has recorded a time that makes a
// deadline earlier than the peer's NextLook.
func (m *Machine) Wake(now clock.Now, shared *peer.Peer) {
	if p := known(shared); p != nil {
		m.look(now, p)
	}
}

// look does what is due for p, and sets its next look. Every other change of a
// peer ends with a look.
func (m *Machine) look(now clock.Now, p *member) {
	if p.removed || !m.up {
		return
	}
	m.observe(p)
	m.reportEndpoint(p)
	m.reportBack(now, p)
	for i := range duties {
		if duties[i].when(m, p) <= now.Mono {
			duties[i].do(m, now, p)
		}
	}
	next := m.nextLook(now, p)
	m.schedule(p, next)
	// The data plane may have made a deadline earlier before it saw this NextLook.
	for again := m.nextLook(now, p); again < next; again = m.nextLook(now, p) {
		next = again
		m.schedule(p, next)
	}
}

// nextLook returns the first deadline of p, but at least the instant after now:
// what was due is done, and what the data plane records meanwhile with an older
// reading of the clock waits for the next look.
func (m *Machine) nextLook(now clock.Now, p *member) clock.Time {
	return max(m.earliest(p), now.Mono+1)
}

// earliest returns the first deadline of p.
func (m *Machine) earliest(p *member) clock.Time {
	first := clock.Never
	for i := range duties {
		first = min(first, duties[i].when(m, p))
	}
	return first
}

// A session has ended when nothing can be sent on it any more (A36). The keys stay until
// they are erased, because packets that are late may still arrive.
func lostAt(m *Machine, p *member) clock.Time {
	if k := p.shared.Sessions().Sending(); p.connected && k != nil {
		return k.Created.Add(session.RejectAfterTime)
	}
	return clock.Never
}

func loseExpired(m *Machine, _ clock.Now, p *member) { m.lost(p, Expired) }

// A35: all keys are erased three times RejectAfterTime after the last session was
// made. A handshake in progress ends by itself.
func eraseAt(_ *Machine, p *member) clock.Time {
	if p.lastSession == 0 {
		return clock.Never
	}
	return p.lastSession.Add(eraseAfter)
}

func eraseOld(m *Machine, _ clock.Now, p *member) {
	p.lease.since = max(p.lease.since, p.sessionsEnd())
	m.eraseSessions(p)
	m.logEvent(p, Output{Event: KeysErased})
}

// An initiation that is not answered is followed by another one (§6.4). The gap
// is also kept after a response of ours.
func retransmitAt(m *Machine, p *member) clock.Time {
	if p.own == nil || p.own.hs == nil {
		return clock.Never
	}
	timeout := m.tunables.RekeyTimeout
	return max(p.own.sentAt.Add(timeout+p.jitter), p.handshakeSent.Add(timeout))
}

func retransmit(m *Machine, now clock.Now, p *member) {
	switch {
	case p.completed >= p.own.sentAt: // the peer's initiation has made a session meanwhile
		m.dropOwn(p)
	case !m.canSpeak(p):
		m.emitGivenUp(now, p, NoWayToSpeak)
		m.dropOwn(p)
	case p.attempts >= m.maxAttempts():
		m.unanswered(now, p)
		m.giveUp(now, p, NoAnswer)
	default:
		m.unanswered(now, p)
		p.shared.ForgetSource(p.shared.Endpoint()) // A52
		m.initiate(now, p, NoAnswer)
	}
}

// giveUp ends the attempts to reach a peer (B30) until there is new traffic. If
// nothing arrived from the peer meanwhile, the old session is useless: the next
// packet begins a new handshake.
func (m *Machine) giveUp(now clock.Now, p *member, cause Cause) {
	m.emitGivenUp(now, p, cause)
	m.dropOwn(p)
	if p.shared.LastReceived() < p.began {
		m.retireCurrent(p)
		m.lost(p, cause)
	}
	p.rekey = rekey{}
	p.shared.ForgetUnanswered(p.shared.Unanswered())
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Purge, Peer: p.shared})
	}
}

// emitGivenUp emits the event of the end of our handshake.
func (m *Machine) emitGivenUp(now clock.Now, p *member, cause Cause) {
	m.logEvent(p, Output{
		Event: GivenUp, Cause: cause, Endpoint: p.shared.Endpoint(),
		Attempt: p.own.attempt, Attempts: m.maxAttempts(), After: now.Mono.Sub(p.began),
	})
}

// A peer with a session is quiet if data was sent and nothing has come back, also while a
// handshake with it is in progress. That is reported once until it is back.
func quietAt(m *Machine, p *member) clock.Time {
	if p.quietSince != 0 || !p.connected {
		return clock.Never
	}
	return m.replyUntil(p)
}

func reportQuiet(m *Machine, now clock.Now, p *member) {
	p.quietSince = now.Mono
	m.logEvent(p, Output{Event: PeerQuiet, Endpoint: p.shared.Endpoint()})
}

// replyUntil returns until when something must come back from p, or clock.Never.
func (m *Machine) replyUntil(p *member) clock.Time {
	sent := p.shared.Unanswered()
	if sent == 0 {
		return clock.Never
	}
	return sent.Add(m.tunables.KeepaliveTimeout + m.tunables.RekeyTimeout + p.jitter)
}

// A handshake is due if data was sent and nothing has come back (B31).
func noReplyAt(m *Machine, p *member) clock.Time {
	if p.own != nil || p.wanted {
		return clock.Never
	}
	return m.replyUntil(p)
}

func suspect(m *Machine, now clock.Now, p *member) {
	p.shared.ForgetUnanswered(p.shared.Unanswered())
	p.shared.ForgetSource(p.shared.Endpoint()) // A52
	p.suspected, p.wanted, p.attempts = now.Mono, true, 0
	if p.quietSince == 0 && p.connected { // nothing has come back after the network had changed
		reportQuiet(m, now, p)
	}
}

// A passive keepalive is due if data was received and nothing was sent back.
func passiveAt(m *Machine, p *member) clock.Time {
	received := p.shared.Unreplied()
	if received == 0 {
		return clock.Never
	}
	return received.Add(m.tunables.KeepaliveTimeout)
}

func keepalivePassive(m *Machine, now clock.Now, p *member) {
	p.shared.ForgetUnreplied(p.shared.Unreplied())
	m.keepalive(now, p)
}

// keepalive emits a keepalive, and reports whether there is a session to send it
// on.
func (m *Machine) keepalive(now clock.Now, p *member) bool {
	if k := p.shared.Sessions().Sending(); k == nil || !k.Usable(now.Mono) {
		return false
	}
	// Recorded here, so that timers keep working if the socket refuses (A40, B46).
	p.shared.NoteSent(now.Mono, false)
	m.emit(Output{Kind: Keepalive, Peer: p.shared})
	return true
}

// A persistent keepalive is due if nothing was exchanged for the configured
// interval. Each packet received or sent, even in vain, begins it again (B10).
func persistentAt(m *Machine, p *member) clock.Time {
	interval := p.shared.PersistentKeepalive()
	if interval == 0 || !m.canSpeak(p) {
		return clock.Never
	}
	if p.keepaliveOwed {
		return 0
	}
	return max(p.shared.LastSent(), p.shared.LastReceived(), p.keepaliveServed).Add(interval)
}

func keepalivePersistent(m *Machine, now clock.Now, p *member) {
	p.keepaliveOwed = false
	p.keepaliveServed = now.Mono
	if !m.keepalive(now, p) && p.own == nil && !p.wanted {
		p.wanted, p.attempts = true, 0
	}
}

// A wanted handshake begins when the gap between initiations allows.
func wantedAt(m *Machine, p *member) clock.Time {
	if !p.wanted || p.own != nil {
		return clock.Never
	}
	if p.handshakeSent == 0 {
		return 0
	}
	return p.handshakeSent.Add(m.tunables.RekeyTimeout)
}

func beginHandshake(m *Machine, now clock.Now, p *member) {
	p.wanted = false
	if cause := m.needsSession(now, p); cause != NoCause && m.canSpeak(p) {
		m.initiate(now, p, cause)
	}
}
