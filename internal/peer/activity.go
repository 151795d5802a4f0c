package peer

import (
	"sync/atomic"
	"time"

	"wgd/internal/clock"
)

// What is owed to a peer (a keepalive, a new handshake) follows from comparing
// times; there is no flag that one side sets and the other clears, so nothing
// is lost between them.
//
//	dataSent      the first data packet sent after lastReceived
//	dataReceived  the first data packet received after lastSent
//	lastSent      any authenticated packet (keepalives, handshakes too)
//	lastReceived  any authenticated packet
//
// A new handshake is owed NoReply after dataSent while dataSent > lastReceived;
// a passive keepalive KeepaliveTimeout after dataReceived while dataReceived >
// lastSent; a persistent one its interval after the later of lastSent and
// lastReceived.
//
// Two of these times are compared although one reading of the clock may serve
// both (a batch has one), so a later event never gets an earlier or, where it
// is "after" another, an equal time.
//
// Core looks at a peer at NextLook. Whatever the data plane notes moves
// deadlines later, but for the two "first" events above, which make new ones:
// then, and only if core is not going to look early enough, the Note functions
// answer true and the caller must post a Wake to core. Core publishes NextLook
// before it reads the times for the last time, and the Note functions store
// theirs before they read NextLook: one of the two sees the other's.

// NoteSent notes that authenticated packets were sent at now; data says that
// one of them was more than a keepalive or handshake.
func (p *Peer) NoteSent(now clock.Time, data bool) (wake bool) {
	p.lastSent.Store(max(int64(now), p.dataReceived.Load()))
	received := p.lastReceived.Load()
	if !data || p.dataSent.Load() > received {
		return false
	}
	p.dataSent.Store(max(int64(now), received+1))
	return p.lateFor(now.Add(p.Timing().NoReply))
}

// NoteReceived notes that authenticated packets were received at now.
func (p *Peer) NoteReceived(now clock.Time, data bool) (wake bool) {
	p.lastReceived.Store(max(int64(now), p.dataSent.Load()))
	sent := p.lastSent.Load()
	if !data || p.dataReceived.Load() > sent {
		return false
	}
	p.dataReceived.Store(max(int64(now), sent+1))
	return p.lateFor(now.Add(p.Timing().KeepaliveTimeout))
}

func (p *Peer) lateFor(deadline clock.Time) bool { return p.NextLook() > deadline }

// NextLook is when core is going to look at the peer; Never when it is not.
func (p *Peer) NextLook() clock.Time { return clock.Time(p.nextLook.Load()) }

// SetNextLook is core's.
func (p *Peer) SetNextLook(t clock.Time) { p.nextLook.Store(int64(t)) }

// LastSent is when any authenticated packet was last sent; 0: never.
func (p *Peer) LastSent() clock.Time { return clock.Time(p.lastSent.Load()) }

// LastReceived is when any authenticated packet was last received; 0: never.
func (p *Peer) LastReceived() clock.Time { return clock.Time(p.lastReceived.Load()) }

// Unanswered is when the first data packet was sent to which nothing has come
// back; 0 when there is none.
func (p *Peer) Unanswered() clock.Time {
	if t := p.dataSent.Load(); t > p.lastReceived.Load() {
		return clock.Time(t)
	}
	return 0
}

// Unreplied is when the first data packet was received after which nothing was
// sent back; 0 when there is none.
func (p *Peer) Unreplied() clock.Time {
	if t := p.dataReceived.Load(); t > p.lastSent.Load() {
		return clock.Time(t)
	}
	return 0
}

// ForgetUnanswered ends what Unanswered reported as t: the handshake that was
// owed for it is under way. The next data packet counts as the first again.
func (p *Peer) ForgetUnanswered(t clock.Time) { p.dataSent.CompareAndSwap(int64(t), 0) }

// ForgetUnreplied ends what Unreplied reported as t.
func (p *Peer) ForgetUnreplied(t clock.Time) { p.dataReceived.CompareAndSwap(int64(t), 0) }

// ForgetActivity makes the peer one with which nothing was exchanged yet: the
// interface goes down (A61).
func (p *Peer) ForgetActivity() {
	for _, t := range []*atomic.Int64{&p.dataSent, &p.dataReceived, &p.lastSent, &p.lastReceived} {
		t.Store(0)
	}
}

// PersistentKeepalive is the configured interval; 0: off.
func (p *Peer) PersistentKeepalive() time.Duration {
	return time.Duration(p.persistentSecs.Load()) * time.Second
}

// SetPersistentKeepalive is core's.
func (p *Peer) SetPersistentKeepalive(seconds uint16) { p.persistentSecs.Store(uint32(seconds)) }
