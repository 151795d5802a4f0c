package core

import (
	"errors"
	"io"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/observe"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// minInterval is the minimum time between two accepted initiations of a peer
// (A19).
const minInterval = 20 * time.Millisecond

// Receive processes a message of types 1 to 3 from the endpoint from. It does not
// keep msg. Package cookie must have checked mac1 of types 1 and 2, and, under
// load, the cookie.
func (m *Machine) Receive(now clock.Now, from wire.Endpoint, msg []byte) {
	t, ok := wire.TypeOf(msg)
	if !ok || !m.up {
		return
	}
	switch t {
	case wire.TypeInitiation:
		m.receiveInitiation(from, msg)
	case wire.TypeResponse:
		m.receiveResponse(now, from, msg)
	case wire.TypeCookieReply:
		m.receiveCookieReply(now, msg)
	}
}

// TakeRefused returns how many handshake messages were refused since its last
// call: from unknown keys, forged, replayed, or too soon. The number is for the
// status; the protocol does not use it (A7).
func (m *Machine) TakeRefused() (n int) {
	n, m.refused = m.refused, 0
	return n
}

// receiveCookieReply passes the cookie to the maker of our MACs, which accepts it
// if it answers our last message (A25, A26), and uses it in the next one. A cookie
// reply changes no endpoint and is not counted (A8).
func (m *Machine) receiveCookieReply(now clock.Now, raw []byte) {
	msg, ok := wire.DecodeCookieReply(raw)
	if !ok {
		return
	}
	if entry := m.index.Lookup(msg.Receiver); entry != nil {
		if p := known(entry.Peer); p != nil && p.maker.Consume(now.Mono, raw) {
			p.observed.Add(now.Mono, observe.Event{Kind: conf.CookieReceived})
			m.logEvent(p, Output{Event: CookieReceived})
		}
	}
}

func (m *Machine) receiveInitiation(from wire.Endpoint, raw []byte) {
	msg, ok := wire.DecodeInitiation(raw)
	if !ok || m.identity == nil {
		return
	}
	m.identify(from, msg)
}

func (m *Machine) identify(from wire.Endpoint, msg wire.Initiation) {
	m.start(&identification{identity: m.identity.acquire(), from: from, msg: msg})
}

// answerKept answers the initiation that p has sent before it was added, as if it had
// just arrived.
func (m *Machine) answerKept(now clock.Now, p *member) {
	kept, ok := m.unknown.TakeKey(now.Mono, p.public())
	if ok && !p.removed && m.up && m.identity != nil {
		m.identify(kept.From, kept.Message)
	}
}

// identification is the job that decrypts the static key of an initiation.
type identification struct {
	key.Hidden
	identity *identity
	from     wire.Endpoint
	msg      wire.Initiation
	exchange noise.Exchange

	public key.Public
	state  *noise.InitiationState
	err    error
}

func (w *identification) products() int { return 1 }

func (w *identification) step() []*x25519.Product {
	w.public, w.state, w.err = noise.ConsumeInitiationStatic(&w.exchange, w.identity.static, &w.msg)
	return needed(&w.exchange, w.err)
}

// needed returns the products that a step of a handshake has asked for, or none if it
// is done.
func needed(x *noise.Exchange, err error) []*x25519.Product {
	if err == noise.ErrUnfinished {
		return x.Products()
	}
	return nil
}

// finish starts the second job if there is a peer with the key. Nothing is
// authenticated yet: anybody who knows the peer's public key could have made what
// has been decrypted. So nothing changes (A7), and no index is reserved.
func (w *identification) finish(m *Machine, now clock.Now) {
	w.identity.release()
	if w.err != nil {
		m.refuse(nil, Output{Event: InitiationRefused, Cause: NotAuthentic, Endpoint: w.from})
		return
	}
	p := m.members[w.public]
	if cause := w.refusal(m, now, p); cause != NoCause {
		defer w.state.Erase()
		if cause == UnknownKey {
			if w.keep(m, now) {
				return
			}
			m.observed.AddSubject(now.Mono, observe.Event{Kind: conf.UnknownKey, Key: w.public, Address: w.from.Remote})
		}
		m.refuse(p, Output{Event: InitiationRefused, Cause: cause, Endpoint: w.from, PublicKey: w.public})
		return
	}
	next := &answer{
		identity: w.identity, member: p, remote: p.remote, from: w.from, state: w.state,
		floor: p.accepted, preshared: p.preshared.Clone(), presharedChanges: p.presharedChanges,
	}
	if _, err := io.ReadFull(m.random, next.ephemeral[:]); err != nil {
		next.erase()
		return
	}
	w.identity.acquire()
	m.start(next)
}

// keep keeps the initiation until there is a peer with its key, and reports whether it
// did: if somebody may add such a peer, and the key can be that of one (A11, A57).
func (w *identification) keep(m *Machine, now clock.Now) bool {
	return !w.public.LowOrder() && !ours(m.identity, w.public) &&
		m.unknown.Key(now.Mono, w.public, unknown.Initiation{From: w.from, Message: w.msg})
}

// refusal returns why the initiation of p, which may be nil, is refused before it
// is authenticated, or NoCause.
func (w *identification) refusal(m *Machine, now clock.Now, p *member) Cause {
	switch {
	case !m.up || w.identity != m.identity:
		return Changed
	case p == nil:
		return UnknownKey
	case p.lowOrder || w.public.LowOrder(): // its product with our key is never known
		return LowOrder
	case p.tooSoon(now):
		return TooSoon
	}
	return NoCause
}

func (w *identification) discard(*Machine) { w.identity.release() }

// tooSoon reports whether an initiation of p is refused by A19.
func (p *member) tooSoon(now clock.Now) bool {
	return p.acceptedAt != 0 && now.Mono.Sub(p.acceptedAt) < minInterval
}

// answer is the job that authenticates an initiation and makes the response.
type answer struct {
	key.Hidden
	identity         *identity
	member           *member
	remote           *noise.Remote
	from             wire.Endpoint
	state            *noise.InitiationState
	floor            wire.TAI64N // this stamp, and all before it, are replays
	preshared        key.Preshared
	presharedChanges uint32
	ephemeral        [32]byte
	exchange         noise.Exchange   // of Finish
	response         noise.Exchange   // of CreateResponse
	hs               *noise.Handshake // nil until the initiation is authentic

	stamp wire.TAI64N
	msg   *wire.Response
	keys  noise.Keys
	err   error
}

var errReplayed = errors.New("initiation: its stamp is not new")

func (w *answer) products() int {
	if !w.remote.Known() {
		return 4
	}
	return 3
}

func (w *answer) step() []*x25519.Product {
	w.err = w.authenticate()
	switch w.err {
	case noise.ErrUnfinished:
		// The first handshake with this peer. The products of the response are
		// computed at the same time, even if the initiation proves to be forged. That
		// happens only until the product of the static keys is known.
		w.state.AskForResponse(&w.response, &w.ephemeral)
		return append(w.exchange.Products(), w.response.Products()...)
	case nil:
		// finish reserves the index when it sends the response: no state before that.
		w.msg, w.err = w.hs.CreateResponse(&w.response, &w.keys, &w.ephemeral, w.preshared, 0)
		if w.err == noise.ErrUnfinished {
			return w.response.Products()
		}
	}
	w.erase()
	return nil
}

// authenticate makes hs of the initiation, unless it has done so.
func (w *answer) authenticate() (err error) {
	if w.hs != nil {
		return nil
	}
	w.stamp, w.hs, err = w.state.Finish(&w.exchange, w.identity.static, w.remote)
	if err == nil && !w.stamp.After(w.floor) {
		return errReplayed // saves the rest of the work
	}
	return err
}

func (w *answer) finish(m *Machine, now clock.Now) {
	defer w.keys.Erase()
	w.identity.release()
	p := w.member
	if cause := w.refusal(m, now); cause != NoCause {
		if cause == Replayed {
			p.observe(now, conf.TimestampReplayed, w.from)
		}
		m.refuse(p, Output{Event: InitiationRefused, Cause: cause, Endpoint: w.from})
		return
	}
	i, err := m.index.Reserve(m.random, &index.Entry{Peer: p.shared})
	if err != nil {
		return
	}
	p.acceptedAt = now.Mono
	m.accept(p, w.stamp)
	m.follow(now, p, w.from, wire.InitiationSize)
	m.logEvent(p, Output{Event: InitiationReceived, Endpoint: w.from})
	remote := w.msg.Receiver
	m.answered(now, p, m.newSession(now, p, &w.keys, i, remote, false))
	w.msg.Sender = i
	m.send(now, p, w.msg.AppendTo(nil), Output{})
	p.observe(now, conf.NotConfirmed, w.from)
	p.jitter = m.drawJitter()
	m.look(now, p)
}

// refusal returns why the initiation is refused, or NoCause.
func (w *answer) refusal(m *Machine, now clock.Now) Cause {
	p := w.member
	switch {
	case p.removed || !m.up || w.identity != m.identity || w.presharedChanges != p.presharedChanges:
		return Changed
	case w.err == errReplayed:
		return Replayed
	case w.err != nil:
		return NotAuthentic
	// A12, A18: compare again where the stamp is recorded.
	case !w.stamp.After(p.accepted):
		return Replayed
	case p.tooSoon(now):
		return TooSoon
	}
	return NoCause
}

func (w *answer) discard(*Machine) {
	w.erase()
	w.identity.release()
}

// erase zeroes the secrets that the job was given (A35).
func (w *answer) erase() {
	clear(w.ephemeral[:])
	w.preshared.Erase()
	w.state.Erase()
	w.response.Erase()
	if w.hs != nil {
		w.hs.Erase()
	}
}
