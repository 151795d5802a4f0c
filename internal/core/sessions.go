package core

import (
	"bytes"

	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/session"
)

// A peer has at most three sessions (A31). Normally:
//
//	our initiation is answered    current becomes previous, the new one current (A32)
//	we answer an initiation       the new one is next: received on, not sent on (A33)
//	first data on next            current becomes previous, next current
//
// If both sides initiate at once, both handshakes complete (A16). Each side then
// has the session of its own initiation as current and the other one as next, and
// drops neither while packets may be in flight on it. When data arrives on next,
// the session initiated by the side with the greater public key stays. Both sides
// know the keys, so they choose the same session, and exactly one of them
// initiated it and will renew it. The data plane must know the choice earlier
// (Sessions.Keep), because it sends on next as soon as that is confirmed.

// initiated publishes the session of our own initiation, which was sent at
// sentAt.
func (m *Machine) initiated(now clock.Now, p *member, k *session.Keypair, sentAt clock.Time) {
	m.settle(now, p)
	s := p.shared.Sessions()
	if p.completed >= sentAt && s.Current != nil && s.Current.Usable(now.Mono) && !m.prevails(p) {
		// The session of the peer's initiation was confirmed before the response
		// to ours arrived, and it is the one that stays.
		m.publish(p, peer.Sessions{Previous: k, Current: s.Current, Next: s.Next, Keep: s.Keep})
	} else {
		m.publish(p, peer.Sessions{Previous: newPrevious(now, s), Current: k, Next: s.Next, Keep: m.keeps(p, k, s.Next)})
	}
	p.lastSession = now.Mono
	p.complete(now)
}

// keeps reports whether k, the new session of our initiation, stays in use when
// next, the session of the peer's initiation, is confirmed.
func (m *Machine) keeps(p *member, k, next *session.Keypair) bool {
	if next == nil {
		return false
	}
	// With that much time between them, they were not initiated at once: the peer
	// had abandoned next when it answered k.
	return k.Created.Sub(next.Created) >= m.tunables.RekeyTimeout || m.prevails(p)
}

// prevails reports whether our session stays if both sides initiate at once.
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

// Confirm is called by the data plane after the first data on the next session k
// of a peer (A33) has passed the replay check (B44).
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

// settle makes a confirmed next session the current one, or, if both sides
// initiated at once and ours stays, the previous one. The data plane confirms a
// session before it calls Confirm, so next must be settled before it is replaced.
func (m *Machine) settle(now clock.Now, p *member) {
	s := p.shared.Sessions()
	if s.Next == nil || !s.Next.Confirmed() {
		return
	}
	if s.Keep && s.Current != nil && s.Current.Usable(now.Mono) {
		m.publish(p, peer.Sessions{Previous: s.Next, Current: s.Current})
	} else {
		m.publish(p, peer.Sessions{Previous: newPrevious(now, s), Current: s.Next})
	}
	p.complete(now)
	m.begun(now, p, Output{Endpoint: p.shared.Endpoint(), After: now.Mono.Sub(s.Next.Created), Renewed: s.Works(now.Mono), Stamp: p.accepted})
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Flush, Peer: p.shared})
	}
}

// newPrevious returns the session that becomes previous when there is a new current
// one. An expired current session (A36) receives nothing, but previous still may,
// if both sides initiated at once.
func newPrevious(now clock.Now, s *peer.Sessions) *session.Keypair {
	if s.Current == nil || !s.Current.Usable(now.Mono) {
		return s.Previous
	}
	return s.Current
}

// complete records that both sides have a new session.
func (p *member) complete(now clock.Now) {
	p.completed = now.Mono
	p.completedWall = now.Wall.UnixNano()
	p.rekey = rekey{}
	p.forgetTrouble()
}

// retireCurrent stops sending on the current session, and still receives on it.
func (m *Machine) retireCurrent(p *member) {
	if s := p.shared.Sessions(); s.Current != nil {
		m.publish(p, peer.Sessions{Previous: s.Current, Next: s.Next})
	}
}

// eraseSessions erases all sessions of p (A35).
func (m *Machine) eraseSessions(p *member) {
	m.publish(p, peer.Sessions{})
	p.lastSession = 0
}

// publish sets the sessions of p, and ends those that are not in s: first it
// releases the index, so that they are no longer found, then it erases the keys.
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

// newSession makes a session from keys, which it erases, and makes the index
// refer to it.
func (m *Machine) newSession(now clock.Now, p *member, keys *noise.Keys, local, remote uint32, initiator bool) *session.Keypair {
	k := session.New(&keys.Send, &keys.Recv, local, remote, initiator, now.Mono)
	keys.Erase()
	m.index.Replace(local, &index.Entry{Peer: p.shared, Keypair: k})
	return k
}
