package core

import (
	"errors"
	"io"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// initiation is one initiation of ours, and the handshake that its response will
// complete. Each retransmission is a new initiation.
type initiation struct {
	index   uint32
	hs      *noise.Handshake // nil until the initiation is made and sent
	sentAt  clock.Time
	jobs    int  // number of responses being tried on hs
	dropped bool // it is no longer the peer's current initiation

	attempt int // its number since a packet last needed a session
	cause   Cause
}

// Want is called by the data plane when it has a packet to send but no session,
// or a session that should be renewed. It may be called for every packet.
func (m *Machine) Want(now clock.Now, shared *peer.Peer) {
	p := known(shared)
	if p == nil || !m.up {
		return
	}
	// If there is a session, a packet that was staged while it was being
	// published is sent by the following Flush, or by the goroutine that staged
	// it.
	if m.needsSession(now, p) != NoCause {
		p.wanted, p.attempts = true, 0 // §6.4: a packet to send resets the count
	}
	m.look(now, p)
}

// needsSession returns why sending to p requires a new session (§6.2): there is
// none; it is old and we initiated it; it has sealed many messages; or nothing
// comes back on it. NoCause means that the session is good.
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
	return m.up && m.identity != nil && !p.lowOrder && p.shared.Endpoint().IsValid()
}

// initiate begins a handshake, in place of any other in progress. The caller must
// check the gap between initiations, and canSpeak.
func (m *Machine) initiate(now clock.Now, p *member, cause Cause) {
	if p.own == nil {
		p.began = now.Mono
	}
	m.dropOwn(p)
	p.wanted = false
	p.attempts++
	p.handshakeSent = now.Mono // updated when it is really sent
	p.jitter = m.drawJitter()
	i, err := m.index.Reserve(m.random, &index.Entry{Peer: p.shared})
	if err != nil {
		p.wanted = true // try again after the gap
		return
	}
	own := &initiation{index: i, attempt: p.attempts, cause: cause}
	w := &creation{identity: m.identity.acquire(), member: p, remote: p.remote, own: own, stamp: m.nextStamp(now, p)}
	if _, err := io.ReadFull(m.random, w.ephemeral[:]); err != nil {
		w.discard(m)
		m.index.Release(i)
		p.wanted = true
		return
	}
	p.own = own
	m.start(w)
}

// drawJitter returns a random duration from 0 to 333 ms.
func (m *Machine) drawJitter() time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(m.random, b[:]); err != nil {
		return 0
	}
	return maxJitter * time.Duration(uint16(b[0])|uint16(b[1])<<8) / (1 << 16)
}

// creation is the job that makes an initiation.
type creation struct {
	key.Hidden
	identity  *identity
	member    *member
	remote    *noise.Remote
	own       *initiation
	ephemeral [32]byte
	stamp     wire.TAI64N
	exchange  noise.Exchange

	msg *wire.Initiation
	hs  *noise.Handshake
	err error
}

func (w *creation) products() int {
	if !w.remote.Known() {
		return 3
	}
	return 2
}

func (w *creation) step() []*x25519.Product {
	w.msg, w.hs, w.err = noise.CreateInitiation(&w.exchange, w.identity.static, w.remote, &w.ephemeral, w.own.index, w.stamp)
	if products := needed(&w.exchange, w.err); products != nil {
		return products
	}
	clear(w.ephemeral[:])
	return nil
}

func (w *creation) finish(m *Machine, now clock.Now) {
	w.identity.release()
	p := w.member
	if w.own.dropped {
		if w.hs != nil {
			w.hs.Erase()
		}
		return
	}
	if w.err != nil {
		p.lowOrder = errors.Is(w.err, noise.ErrLowOrder) // A11
		if p.lowOrder {
			m.giveUp(now, p, LowOrder)
		} else {
			m.giveUp(now, p, Changed)
		}
		m.look(now, p)
		return
	}
	w.own.hs, w.own.sentAt = w.hs, now.Mono
	p.observe(now, conf.NoAnswer, p.shared.Endpoint())
	m.send(now, p, w.msg.AppendTo(nil), Output{Cause: w.own.cause, Attempt: w.own.attempt, Attempts: m.maxAttempts()})
	m.look(now, p)
}

func (w *creation) discard(*Machine) {
	clear(w.ephemeral[:])
	w.identity.release()
}

// dropOwn ends our handshake in progress, if there is one.
func (m *Machine) dropOwn(p *member) {
	if p.own == nil {
		return
	}
	m.index.Release(p.own.index)
	p.own.drop()
	p.own = nil
}

// drop erases the handshake. If jobs are reading it, the finish of the last one
// erases it.
func (own *initiation) drop() {
	own.dropped = true
	if own.hs != nil && own.jobs == 0 {
		own.hs.Erase()
	}
}

// receiveResponse accepts a response only in the state "initiation sent" and with
// the index of that initiation (A13). Several may be tried at once, including
// forged ones (B28): none changes the handshake until one is authenticated.
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
		identity: m.identity.acquire(), member: p, own: p.own, hs: p.own.hs,
		preshared: p.preshared.Clone(), presharedChanges: p.presharedChanges,
		from: from, msg: msg,
	})
}

// completion is the job that tries a response on our initiation.
type completion struct {
	key.Hidden
	identity         *identity
	member           *member
	own              *initiation
	hs               *noise.Handshake // that of own; only read
	preshared        key.Preshared
	presharedChanges uint32
	from             wire.Endpoint
	msg              wire.Response
	exchange         noise.Exchange

	keys noise.Keys
	err  error
}

func (w *completion) products() int { return 2 }

func (w *completion) step() []*x25519.Product {
	w.err = w.hs.ConsumeResponse(&w.exchange, &w.keys, w.identity.static, w.preshared, &w.msg)
	if products := needed(&w.exchange, w.err); products != nil {
		return products
	}
	w.preshared.Erase()
	return nil
}

func (w *completion) finish(m *Machine, now clock.Now) {
	defer w.keys.Erase()
	w.identity.release()
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
		} else {
			p.observe(now, conf.ResponseRefused, w.from)
		}
		m.refuse(p, Output{Event: ResponseRefused, Cause: cause, Endpoint: w.from})
		return // A13: the handshake still waits for the genuine response
	}
	renewed := p.shared.Sessions().Works(now.Mono)
	p.own = nil
	w.own.drop() // but keep the index, which the session takes over
	k := m.newSession(now, p, &w.keys, w.own.index, w.msg.Sender, true)
	m.follow(now, p, w.from, wire.ResponseSize)
	m.initiated(now, p, k, w.own.sentAt)
	m.begun(now, p, Output{Endpoint: w.from, After: now.Mono.Sub(w.own.sentAt), Initiator: true, Renewed: renewed})
	m.emit(Output{Kind: Flush, Peer: p.shared}) // A34
	m.look(now, p)
}

func (w *completion) discard(*Machine) {
	w.preshared.Erase()
	w.identity.release()
	w.own.jobs--
	if w.own.dropped {
		w.own.drop()
	}
}
