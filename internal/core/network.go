package core

import (
	"wgd/internal/clock"
	"wgd/internal/peer"
)

// InUse returns the peers that are owed a packet when the way to them changes: those
// with a session that was usable at the given time, with a handshake that is wanted or
// in progress, or with a persistent keepalive. Of the others nobody waits for anything.
// It costs nothing for peers that have been idle for long.
func (m *Machine) InUse(at clock.Time) (list []*peer.Peer) {
	for _, p := range m.looks {
		k := p.shared.Sessions().Sending()
		if k != nil && k.Usable(at) || p.own != nil || p.wanted || p.shared.HasStaged() || p.shared.PersistentKeepalive() > 0 {
			list = append(list, p.shared)
		}
	}
	return list
}

// NetworkChanged is called when packets to a peer leave another way than before the time
// since: from another address, through another interface or gateway, or at all again.
// A session is kept. A keepalive on it is sent at once, so that the peer learns our new
// address (A51); without it, a peer that only sends would go on sending to the old one.
// Without a session, a handshake that is in progress or wanted goes on at once. resumed
// says that the computer was suspended, and had a session with the peer before: a new one
// is wanted if that is too old by now.
func (m *Machine) NetworkChanged(now clock.Now, shared *peer.Peer, since clock.Time, resumed bool) {
	p := known(shared)
	if p == nil || !m.up || !m.canSpeak(p) {
		return
	}
	if m.keepalive(now, p) {
		p.probed = now.Mono
	} else if p.own == nil && (resumed || p.shared.PersistentKeepalive() > 0 || p.shared.HasStaged()) {
		p.wanted, p.attempts = true, 0
	}
	if m.maySkipGap(now, p, since) {
		if p.own != nil {
			m.initiate(now, p, NetworkChanged)
		} else {
			p.handshakeSent = 0 // the gap need not be kept
		}
	}
	m.look(now, p)
}

// maySkipGap reports whether the next initiation need not wait for RekeyTimeout to pass
// since our last handshake message: because that one was never sent, or because it was
// sent the old way. The latter is allowed once per RekeyTimeout, however often the
// network changes.
func (m *Machine) maySkipGap(now clock.Now, p *member, since clock.Time) bool {
	switch {
	case p.own == nil && !p.wanted:
		return false
	case p.own != nil && (p.own.hs == nil || p.attempts >= m.maxAttempts()):
		return false // it is just being made, or was the last one
	case p.shared.Unsent():
		return true
	case p.handshakeSent > since || p.gapSkipped != 0 && now.Mono.Sub(p.gapSkipped) < m.tunables.RekeyTimeout:
		return false
	}
	p.gapSkipped = now.Mono
	return true
}

// Nothing answers a keepalive. If nothing else comes from the peer, only a handshake can
// tell whether the new way leads to it.
func unheardAt(m *Machine, p *member) clock.Time {
	if p.probed == 0 || p.own != nil || p.wanted || p.shared.LastReceived() > p.probed {
		return clock.Never
	}
	return p.probed.Add(m.tunables.RekeyTimeout + p.jitter)
}

func suspectUnheard(m *Machine, now clock.Now, p *member) {
	p.probed = 0
	suspect(m, now, p)
}
