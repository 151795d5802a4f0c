package core

import (
	"errors"
	"io"
	"time"

	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// initiation is one message of ours, and the handshake that its response will
// complete. Every retransmission is a new one.
type initiation struct {
	index   uint32
	hs      *noise.Handshake // nil until it is made and sent
	sentAt  clock.Time
	jobs    int  // responses that are being tried on hs
	dropped bool // something else has taken its place

	attempt int // which it is since somebody last wanted to send
	cause   Cause
}

// Want is posted by the data plane when it has something to send and no
// session for it, or one that should be renewed. It may come with every packet.
func (m *Machine) Want(now clock.Now, shared *peer.Peer) {
	p := known(shared)
	if p == nil || !m.up {
		return
	}
	// Where there is a session, what was staged while it was being published is
	// seen by the flush that follows, or by who staged it.
	if m.needsSession(now, p) != NoCause {
		p.wanted, p.attempts = true, 0 // §6.4: who wants to send begins to count again
	}
	m.look(now, p)
}

// needsSession is why who sends to p must, or should, have a new session (§6.2):
// there is none, it is an old one that we initiated, or one that has sealed many
// messages, or nothing comes back. NoCause: the session will do.
func (m *Machine) needsSession(now clock.Now, p *member) Cause {
	k := p.shared.Sessions().Sending()
	switch {
	case k == nil || !k.Usable(now.Mono):
		return NoSession
	case k.Initiator && now.Mono.Sub(k.Created) >= m.tunables.RekeyAfterTime:
		return SessionOld
	case k.Sent() >= m.tunables.RekeyAfterMessages:
		return SessionUsed
	case p.suspected != 0 && p.shared.LastReceived() <= p.suspected:
		return NoReply
	}
	return NoCause
}

// canSpeak reports whether a handshake message could be sent to p at all.
func (m *Machine) canSpeak(p *member) bool {
	return m.up && m.identity != nil && !p.mute && p.shared.Endpoint().IsValid()
}

// initiate begins a handshake, in place of the one that is under way. The
// caller has seen to the gap between initiations and to canSpeak.
func (m *Machine) initiate(now clock.Now, p *member, cause Cause) {
	if p.own == nil {
		p.began = now.Mono
	}
	m.dropOwn(p)
	p.wanted = false
	p.attempts++
	p.handshakeSent = now.Mono // until it is sent in truth
	p.jitter = m.drawJitter()
	i, err := m.index.Reserve(m.random, &index.Entry{Peer: p.shared})
	if err != nil {
		p.wanted = true // after the gap
		return
	}
	own := &initiation{index: i, attempt: p.attempts, cause: cause}
	w := &creation{identity: m.identity.lend(), member: p, remote: p.remote, own: own, stamp: m.nextStamp(now, p)}
	if _, err := io.ReadFull(m.random, w.ephemeral[:]); err != nil {
		m.index.Release(i)
		m.identity.back()
		p.wanted = true
		return
	}
	p.own = own
	m.start(w)
}

// drawJitter is 0 to 333 ms.
func (m *Machine) drawJitter() time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(m.random, b[:]); err != nil {
		return 0
	}
	return mostJitter * time.Duration(uint16(b[0])|uint16(b[1])<<8) / (1 << 16)
}

// creation is the job of making an initiation.
type creation struct {
	key.Hidden
	identity  *identity
	member    *member
	remote    *noise.Remote
	own       *initiation
	ephemeral [32]byte
	stamp     wire.TAI64N

	msg *wire.Initiation
	hs  *noise.Handshake
	err error
}

func (w *creation) run() {
	w.msg, w.hs, w.err = noise.CreateInitiation(w.identity.static, w.remote, &w.ephemeral, w.own.index, w.stamp)
	clear(w.ephemeral[:])
}

func (w *creation) finish(m *Machine, now clock.Now) {
	w.identity.back()
	p := w.member
	if w.own.dropped {
		if w.hs != nil {
			w.hs.Erase()
		}
		return
	}
	if w.err != nil {
		p.mute = errors.Is(w.err, noise.ErrLowOrder) // A11
		if p.mute {
			m.giveUp(now, p, LowOrder)
		} else {
			m.giveUp(now, p, Changed)
		}
		m.look(now, p)
		return
	}
	w.own.hs, w.own.sentAt = w.hs, now.Mono
	m.send(now, p, w.msg.AppendTo(nil), Output{Cause: w.own.cause, Attempt: w.own.attempt, Attempts: m.mostAttempts()})
	m.look(now, p)
}

func (w *creation) discard(*Machine) {
	clear(w.ephemeral[:])
	w.identity.back()
}

// dropOwn ends our handshake that is under way, if there is one.
func (m *Machine) dropOwn(p *member) {
	if p.own == nil {
		return
	}
	m.index.Release(p.own.index)
	p.own.drop()
	p.own = nil
}

// drop erases the handshake, unless a job reads it just now: then that job's
// finish does.
func (own *initiation) drop() {
	own.dropped = true
	if own.hs != nil && own.jobs == 0 {
		own.hs.Erase()
	}
}

// receiveResponse takes a response in the state "initiation sent" and with the
// live index, nothing else (A13). There may be several at once, forged ones
// among them (B28): none of them touches the handshake until one is proven.
func (m *Machine) receiveResponse(now clock.Now, from wire.Endpoint, raw []byte) {
	msg, ok := wire.DecodeResponse(raw)
	if !ok || m.identity == nil {
		return
	}
	entry := m.index.Lookup(msg.Receiver)
	if entry == nil {
		return
	}
	p := known(entry.Peer)
	if p == nil || p.own == nil || p.own.hs == nil || p.own.index != msg.Receiver {
		return
	}
	p.own.jobs++
	m.start(&completion{
		identity: m.identity.lend(), member: p, own: p.own, hs: p.own.hs,
		preshared: p.preshared.Clone(), presharedChanges: p.presharedChanges,
		from: from, msg: msg,
	})
}

// completion is the job of trying a response on our initiation.
type completion struct {
	key.Hidden
	identity         *identity
	member           *member
	own              *initiation
	hs               *noise.Handshake // own's; only read
	preshared        key.Preshared
	presharedChanges uint32
	from             wire.Endpoint
	msg              wire.Response

	keys noise.Keys
	err  error
}

func (w *completion) run() {
	w.err = w.hs.ConsumeResponse(&w.keys, w.identity.static, w.preshared, &w.msg)
	w.preshared.Erase()
}

func (w *completion) finish(m *Machine, now clock.Now) {
	defer w.keys.Erase()
	w.identity.back()
	w.own.jobs--
	p := w.member
	if w.own.dropped {
		w.own.drop()
		return
	}
	if w.err != nil || w.presharedChanges != p.presharedChanges {
		cause := NotAuthentic
		if w.presharedChanges != p.presharedChanges {
			cause = Changed
		}
		m.refuse(p, Output{Event: ResponseRefused, Cause: cause, Endpoint: w.from})
		return // A13: the handshake waits on for the true one
	}
	p.own = nil
	w.own.drop() // but for the index, which the session takes over
	k := m.newSession(now, p, &w.keys, w.own.index, w.msg.Sender, true)
	p.follow(now, w.from, wire.ResponseSize)
	m.initiated(now, p, k, w.own.sentAt)
	m.tell(p, Output{Event: SessionBegun, Endpoint: w.from, After: now.Mono.Sub(w.own.sentAt), Initiator: true})
	m.emit(Output{Kind: Flush, Peer: p.shared}) // A34
	m.look(now, p)
}

func (w *completion) discard(*Machine) {
	w.preshared.Erase()
	w.identity.back()
	w.own.jobs--
	if w.own.dropped {
		w.own.drop()
	}
}
