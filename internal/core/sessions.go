package core

import (
	"bytes"

	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/session"
)

// A peer has at most three sessions (A31). In the usual order of things:
//
//	our initiation is answered    current becomes previous, the new one current (A32)
//	we answer an initiation       the new one is next: received on, not sent on (A33)
//	first data on next            current becomes previous, next current
//
// Both sides may initiate at once, and then both handshakes complete (A16):
// each side has the session of its own initiation as current and the other one
// as next, and none is given up while packets may be under way on it. Which
// one stays is settled when data comes on the other: that of the greater
// public key, which both sides know, so they come to send on the same one, and
// exactly one of them is its initiator and will renew it. The data plane must
// know that before (Sessions.Keep): it sends on next from its confirmation on.

// initiated publishes the session of our own initiation, which was sent at
// sentAt.
func (m *Machine) initiated(now clock.Now, p *member, k *session.Keypair, sentAt clock.Time) {
	m.settle(now, p)
	s := p.shared.Sessions()
	if p.completed >= sentAt && s.Current != nil && s.Current.Usable(now.Mono) && !m.prevails(p) {
		// The session of the peer's own initiation was confirmed before our
		// response came, and is the one that stays.
		m.publish(p, peer.Sessions{Previous: k, Current: s.Current, Next: s.Next, Keep: s.Keep})
	} else {
		m.publish(p, peer.Sessions{Previous: second(now, s), Current: k, Next: s.Next, Keep: m.keeps(p, k, s.Next)})
	}
	p.lastSession = now.Mono
	p.complete(now)
}

// keeps decides between a new session k of our initiation and the next one, of
// the peer's, that it has overtaken.
func (m *Machine) keeps(p *member, k, next *session.Keypair) bool {
	if next == nil {
		return false
	}
	// Not at once after all: who answered k has left next behind.
	return k.Created.Sub(next.Created) >= m.tunables.RekeyTimeout || m.prevails(p)
}

// prevails reports whether of two sessions begun at once ours stays.
func (m *Machine) prevails(p *member) bool {
	ours, theirs := m.PublicKey(), p.public()
	return bytes.Compare(ours[:], theirs[:]) > 0
}

// answered publishes the session of a peer's initiation.
func (m *Machine) answered(now clock.Now, p *member, k *session.Keypair) {
	m.settle(now, p)
	s := p.shared.Sessions()
	m.publish(p, peer.Sessions{Previous: s.Previous, Current: s.Current, Next: k})
	p.lastSession = now.Mono
}

// Confirm is posted by the data plane with the first data that came on the
// next session k of a peer (A33); the replay check came before (B44).
func (m *Machine) Confirm(now clock.Now, shared *peer.Peer, k *session.Keypair) {
	p := known(shared)
	if p == nil || !m.up {
		return
	}
	if k == nil || shared.Sessions().Next != k {
		return
	}
	k.Confirm()
	m.settle(now, p)
	m.look(now, p)
}

// settle makes a next session that is confirmed the current one, or where both
// sides had begun at once and ours stays, the previous one. The data plane
// confirms before it posts, so whoever replaces next comes here first.
func (m *Machine) settle(now clock.Now, p *member) {
	s := p.shared.Sessions()
	if s.Next == nil || !s.Next.Confirmed() {
		return
	}
	if s.Keep && s.Current != nil && s.Current.Usable(now.Mono) {
		m.publish(p, peer.Sessions{Previous: s.Next, Current: s.Current})
	} else {
		m.publish(p, peer.Sessions{Previous: second(now, s), Current: s.Next})
	}
	p.complete(now)
	m.tell(p, Output{Event: SessionBegun, Endpoint: p.shared.Endpoint(), After: now.Mono.Sub(s.Next.Created)})
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Flush, Peer: p.shared})
	}
}

// second is what becomes previous when there is a new current session. One past
// its time (A36) receives nothing; the one before may, after both sides
// initiated at once.
func second(now clock.Now, s *peer.Sessions) *session.Keypair {
	if s.Current == nil || !s.Current.Usable(now.Mono) {
		return s.Previous
	}
	return s.Current
}

// complete notes that both sides have a session.
func (p *member) complete(now clock.Now) {
	p.completed = now.Mono
	p.completedWall = now.Wall.UnixNano()
	p.pursuit = pursuit{}
}

// retireCurrent ends sending on the current session, and goes on receiving.
func (m *Machine) retireCurrent(p *member) {
	if s := p.shared.Sessions(); s.Current != nil {
		m.publish(p, peer.Sessions{Previous: s.Current, Next: s.Next})
	}
}

// eraseSessions erases all there are (A35).
func (m *Machine) eraseSessions(p *member) {
	m.publish(p, peer.Sessions{})
	p.lastSession = 0
}

// publish makes s the sessions of p, and ends those that are not in it: the
// index first, so that nobody finds them any more, then the keys.
func (m *Machine) publish(p *member, s peer.Sessions) {
	old := p.shared.Sessions()
	if s == (peer.Sessions{}) {
		p.shared.SetSessions(nil)
	} else {
		p.shared.SetSessions(&s)
	}
	for _, k := range []*session.Keypair{old.Previous, old.Current, old.Next} {
		if k != nil && k != s.Previous && k != s.Current && k != s.Next {
			m.index.Release(k.Local)
			k.Erase()
		}
	}
}

// newSession makes a keypair and has its index stand for it. It zeroes the
// keys that it is given.
func (m *Machine) newSession(now clock.Now, p *member, keys *noise.Keys, local, remote uint32, initiator bool) *session.Keypair {
	k := session.New(&keys.Send, &keys.Recv, local, remote, initiator, now.Mono)
	keys.Erase()
	m.index.Replace(local, &index.Entry{Peer: p.shared, Keypair: k})
	return k
}
