package load

import (
	crand "crypto/rand"
	"net/netip"

	"wgd/internal/clock"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// This file has the handshakes of a linuxPeer.

// beginHandshake sends an initiation, unless a handshake message was sent just before.
func (p *linuxPeer) beginHandshake(now clock.Now, again bool) {
	if !again {
		p.attempts = 0
	}
	if p.lastInitiation != 0 && now.Mono.Sub(p.lastInitiation) < rekeyTimeout {
		return
	}
	p.lastInitiation = now.Mono
	ephemeral := newEphemeral()
	index := p.newIndex()
	m, pending, err := noise.CreateInitiation(nil, p.static, p.daemon, &ephemeral, index, wire.StampAt(now.Wall))
	if err != nil {
		return // a key of the other end with which no handshake can succeed
	}
	p.pending, p.pendingIndex = pending, index
	msg := m.AppendTo(nil)
	p.macs.AddMACs(now.Mono, msg)
	p.timers.keepalive = 0
	p.timers.retransmit = p.after(now, rekeyTimeout)
	p.transmit(p.endpoint, msg)
}

func newEphemeral() (b [32]byte) {
	crand.Read(b[:])
	return b
}

func (p *linuxPeer) newIndex() uint32 {
	p.generation++
	return p.generation<<16 | uint32(p.number)
}

func (p *linuxPeer) receiveResponse(now clock.Now, from netip.AddrPort, msg []byte) {
	m, ok := wire.DecodeResponse(msg)
	if !ok || !p.mac1.CheckMAC1(msg) || p.pending == nil || m.Receiver != p.pendingIndex {
		return
	}
	var keys noise.Keys
	if p.pending.ConsumeResponse(nil, &keys, p.static, key.Preshared{}, &m) != nil {
		return
	}
	p.pending = nil
	p.endpoint = from
	s := p.newSession(now, &keys, p.pendingIndex, m.Sender)
	s.initiator = true
	if p.next != nil {
		p.previous, p.next = p.next, nil
	} else {
		p.previous = p.current
	}
	p.current = s
	p.handshakeComplete()
	p.sendKeepalive(now)
	p.timers.newHandshake = 0
}

func (p *linuxPeer) newSession(now clock.Now, keys *noise.Keys, local, remote uint32) *linuxSession {
	s := &linuxSession{local: local, remote: remote, born: now.Mono}
	s.send.Set(&keys.Send)
	s.receive.Set(&keys.Recv)
	p.timers.zero = now.Mono.Add(3 * rejectAfter)
	return s
}

func (p *linuxPeer) handshakeComplete() {
	p.timers.retransmit, p.attempts, p.lastMinute = 0, 0, false
	p.completed++
}

func (p *linuxPeer) receiveInitiation(now clock.Now, from netip.AddrPort, msg []byte) {
	m, ok := wire.DecodeInitiation(msg)
	if !ok || !p.mac1.CheckMAC1(msg) {
		return
	}
	public, state, err := noise.ConsumeInitiationStatic(nil, p.static, &m)
	if err != nil || public != p.daemon.Public() {
		return
	}
	stamp, handshake, err := state.Finish(nil, p.static, p.daemon)
	if err != nil || !stamp.After(p.consumed) || p.consumedAt != 0 && now.Mono.Sub(p.consumedAt) < floodInterval {
		return
	}
	p.consumed, p.consumedAt, p.pending = stamp, now.Mono, nil // both ends share one state in Linux
	p.endpoint = from
	ephemeral, index := newEphemeral(), p.newIndex()
	var keys noise.Keys
	response, err := handshake.CreateResponse(nil, &keys, &ephemeral, key.Preshared{}, index)
	if err != nil {
		return
	}
	p.next, p.previous = p.newSession(now, &keys, index, m.Sender), nil
	answer := response.AppendTo(nil)
	p.macs.AddMACs(now.Mono, answer)
	p.lastInitiation = now.Mono
	p.timers.keepalive, p.timers.newHandshake = 0, 0
	p.transmit(p.endpoint, answer)
}
