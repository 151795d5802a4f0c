package core

import (
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/session"
)

// The values of §6.1 that nobody tunes. The others are conf.Tunables.
const (
	// maxJitter is added to what would otherwise happen at both ends at once.
	maxJitter = 333 * time.Millisecond

	// eraseAfter is when keys that nobody used again are erased (A35).
	eraseAfter = 3 * session.RejectAfterTime
)

// timing is what the data plane needs of t.
func timing(t conf.Tunables) peer.Timing {
	return peer.Timing{
		RekeyAfterTime: t.RekeyAfterTime,
		// On receipt an initiator renews so late that there is just time left for
		// it. Not before RekeyAfterTime, or every session were renewed at once.
		RekeyOnReceive:     max(session.RejectAfterTime-t.KeepaliveTimeout-t.RekeyTimeout, t.RekeyAfterTime),
		RekeyAfterMessages: t.RekeyAfterMessages,
		KeepaliveTimeout:   t.KeepaliveTimeout,
		NoReply:            t.KeepaliveTimeout + t.RekeyTimeout,
	}
}

// maxAttempts is how many initiations are sent before the peer is given up.
func (m *Machine) maxAttempts() int {
	t := &m.tunables
	return max(1, int((t.RekeyAttemptTime+t.RekeyTimeout-1)/t.RekeyTimeout))
}

// A duty is one thing that may be owed to a peer. When is a comparison of
// times, computed anew at each look; do must move it later.
type duty struct {
	when func(*Machine, *member) clock.Time // clock.Never: not owed
	do   func(*Machine, clock.Now, *member)
}

// duties are in the order in which they are done: what one does may make a
// later one due, but not an earlier one.
var duties = [...]duty{
	{eraseAt, eraseOld},
	{retransmitAt, retransmit},
	{noReplyAt, suspect},
	{passiveAt, keepalivePassive},
	{persistentAt, keepalivePersistent},
	{wantedAt, beginHandshake},
}

// NextTimeout is when Timeout is to be called; clock.Never: not at all.
func (m *Machine) NextTimeout() clock.Time {
	if len(m.looks) == 0 {
		return clock.Never
	}
	return m.looks[0].shared.NextLook()
}

// Timeout does all that is due.
func (m *Machine) Timeout(now clock.Now) {
	for m.NextTimeout() <= now.Mono {
		m.look(now, m.looks[0])
	}
}

// Wake is posted by the data plane when it has made a deadline earlier than
// the peer's NextLook.
func (m *Machine) Wake(now clock.Now, shared *peer.Peer) {
	if p := known(shared); p != nil {
		m.look(now, p)
	}
}

// look does what is due to p, and sets its next look. Whatever else changes
// something about a peer ends with a look.
func (m *Machine) look(now clock.Now, p *member) {
	if p.removed || !m.up {
		return
	}
	for i := range duties {
		if duties[i].when(m, p) <= now.Mono {
			duties[i].do(m, now, p)
		}
	}
	next := m.nextLook(now, p)
	m.schedule(p, next)
	// The data plane may have made a deadline before it saw this NextLook.
	for again := m.nextLook(now, p); again < next; again = m.nextLook(now, p) {
		next = again
		m.schedule(p, next)
	}
}

// nextLook is the first deadline of p, but after now: what was due is done,
// and what the data plane notes meanwhile with an older reading of the clock
// must wait its turn.
func (m *Machine) nextLook(now clock.Now, p *member) clock.Time {
	return max(m.earliest(p), now.Mono+1)
}

// earliest is the first deadline of p.
func (m *Machine) earliest(p *member) clock.Time {
	first := clock.Never
	for i := range duties {
		first = min(first, duties[i].when(m, p))
	}
	return first
}

// A35: keys are erased three times RejectAfterTime after the last session was
// made, if nobody has made another one. A handshake under way has its own end.
func eraseAt(_ *Machine, p *member) clock.Time {
	if p.lastSession == 0 {
		return clock.Never
	}
	return p.lastSession.Add(eraseAfter)
}

func eraseOld(m *Machine, _ clock.Now, p *member) {
	m.eraseSessions(p)
	m.tell(p, Output{Event: KeysErased})
}

// An initiation that is not answered is followed by another one (§6.4). The
// gap counts from a response of ours, too.
func retransmitAt(m *Machine, p *member) clock.Time {
	if p.own == nil || p.own.hs == nil {
		return clock.Never
	}
	timeout := m.tunables.RekeyTimeout
	return max(p.own.sentAt.Add(timeout+p.jitter), p.handshakeSent.Add(timeout))
}

func retransmit(m *Machine, now clock.Now, p *member) {
	switch {
	case p.completed >= p.own.sentAt: // the peer's own initiation has led to a session meanwhile
		m.dropOwn(p)
	case !m.canSpeak(p):
		m.emitGivenUp(now, p, NoWayToSpeak)
		m.dropOwn(p)
	case p.attempts >= m.maxAttempts():
		m.giveUp(now, p, NoAnswer)
	default:
		p.shared.ForgetSource(p.shared.Endpoint()) // A52
		m.initiate(now, p, NoAnswer)
	}
}

// giveUp stops trying to reach a peer (B30) until there is new traffic. If it
// was silent all the time, the next packet is not sent on the old session, from
// which nothing can be expected, but begins a new handshake.
func (m *Machine) giveUp(now clock.Now, p *member, cause Cause) {
	m.emitGivenUp(now, p, cause)
	m.dropOwn(p)
	if p.shared.LastReceived() < p.began {
		m.retireCurrent(p)
	}
	p.rekey = rekey{}
	p.shared.ForgetUnanswered(p.shared.Unanswered())
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Purge, Peer: p.shared})
	}
}

// emitGivenUp tells the end of our handshake that is under way.
func (m *Machine) emitGivenUp(now clock.Now, p *member, cause Cause) {
	m.tell(p, Output{
		Event: GivenUp, Cause: cause, Endpoint: p.shared.Endpoint(),
		Attempt: p.own.attempt, Attempts: m.maxAttempts(), After: now.Mono.Sub(p.began),
	})
}

// Data was sent, and nothing at all has come back (B31).
func noReplyAt(m *Machine, p *member) clock.Time {
	sent := p.shared.Unanswered()
	if sent == 0 || p.own != nil || p.wanted {
		return clock.Never
	}
	return sent.Add(m.tunables.KeepaliveTimeout + m.tunables.RekeyTimeout + p.jitter)
}

func suspect(m *Machine, now clock.Now, p *member) {
	p.shared.ForgetUnanswered(p.shared.Unanswered())
	p.shared.ForgetSource(p.shared.Endpoint()) // A52
	p.suspected, p.wanted, p.attempts = now.Mono, true, 0
}

// Data was received, and nothing at all was sent back.
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

// keepalive reports whether there is a session to send it on.
func (m *Machine) keepalive(now clock.Now, p *member) bool {
	if k := p.shared.Sessions().Sending(); k == nil || !k.Usable(now.Mono) {
		return false
	}
	// Noted here, so that timers go on even when the socket refuses (A40, B46).
	p.shared.NoteSent(now.Mono, false)
	m.emit(Output{Kind: Keepalive, Peer: p.shared})
	return true
}

// Nothing was exchanged for the configured interval. What is sent, or tried to
// be, and what is received begins it again (B10).
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

// A new session is wanted, and begins when the gap between initiations allows.
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
