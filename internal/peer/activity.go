package peer

import (
	"sync/atomic"
	"time"

	"wgd/internal/clock"
)

// What is due to a peer (a keepalive, a new handshake) follows from comparing
// times. There is no flag that one side sets and the other clears, so no event
// can be lost between them.
//
//	dataSent      the first data packet sent after lastReceived
//	dataReceived  the first data packet received after lastSent
//	lastSent      any authenticated packet, including keepalives and handshakes
//	lastReceived  any authenticated packet
//
// A new handshake is due NoReply after dataSent while dataSent > lastReceived;
// a passive keepalive KeepaliveTimeout after dataReceived while dataReceived >
// lastSent; a persistent one its interval after the later of lastSent and
// lastReceived.
//
// One reading of the clock may serve several events (a batch has one). Therefore
// a later event never gets an earlier time or, if it counts as "after" another,
// an equal one.
//
// Core examines a peer at NextLook. The events that the data plane records only
// postpone deadlines, except the two "first" events above, which create new ones.
// Then, if NextLook is later than the deadline, the Note functions return true
// and the caller must post a Wake to core. Core publishes NextLook before it
// reads the times for the last time, and the Note functions store theirs before
// they read NextLook, so at least one side sees the other's value.

// NoteSent records that authenticated packets were sent at now. data says that
// at least one of them was neither a keepalive nor a handshake message.
func (p *Peer) NoteSent(now clock.Time, data bool) (wake bool) {
	p.lastSent.Store(max(int64(now), p.dataReceived.Load()))
	received := p.lastReceived.Load()
	if !data || p.dataSent.Load() > received {
		return false
	}
	p.dataSent.Store(max(int64(now), received+1))
	after := p.Timing().NoReply
	if p.followed.Load() {
		after = p.Timing().KeepaliveTimeout // its name is looked up earlier
	}
	return p.lateFor(now.Add(after))
}

// NoteReceived records that authenticated packets were received at now.
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

// NextLook returns when core will examine the peer, or clock.Never.
func (p *Peer) NextLook() clock.Time { return clock.Time(p.nextLook.Load()) }

// SetNextLook sets the time of NextLook. Only core calls it.
func (p *Peer) SetNextLook(t clock.Time) { p.nextLook.Store(int64(t)) }

// LastSent returns when an authenticated packet was last sent; 0: never.
func (p *Peer) LastSent() clock.Time { return clock.Time(p.lastSent.Load()) }

// LastReceived returns when an authenticated packet was last received; 0: never.
func (p *Peer) LastReceived() clock.Time { return clock.Time(p.lastReceived.Load()) }

// Unanswered returns when the first data packet was sent since a packet was last
// received; 0: there is none.
func (p *Peer) Unanswered() clock.Time {
	if t := p.dataSent.Load(); t > p.lastReceived.Load() {
		return clock.Time(t)
	}
	return 0
}

// Unreplied returns when the first data packet was received since a packet was
// last sent; 0: there is none.
func (p *Peer) Unreplied() clock.Time {
	if t := p.dataReceived.Load(); t > p.lastSent.Load() {
		return clock.Time(t)
	}
	return 0
}

// ForgetUnanswered resets Unanswered if it is t, because the handshake that was
// due has begun. The next data packet counts as the first again.
func (p *Peer) ForgetUnanswered(t clock.Time) { p.dataSent.CompareAndSwap(int64(t), 0) }

// ForgetUnreplied resets Unreplied if it is t.
func (p *Peer) ForgetUnreplied(t clock.Time) { p.dataReceived.CompareAndSwap(int64(t), 0) }

// ForgetActivity resets all these times, when the interface goes down (A61).
func (p *Peer) ForgetActivity() {
	for _, t := range []*atomic.Int64{&p.dataSent, &p.dataReceived, &p.lastSent, &p.lastReceived} {
		t.Store(0)
	}
}

// PersistentKeepalive returns the configured interval; 0: off.
func (p *Peer) PersistentKeepalive() time.Duration {
	return time.Duration(p.persistentSecs.Load()) * time.Second
}

// SetPersistentKeepalive sets the interval. Only core calls it.
func (p *Peer) SetPersistentKeepalive(seconds uint16) { p.persistentSecs.Store(uint32(seconds)) }

// SetUnsent records whether the socket refused our last handshake message.
func (p *Peer) SetUnsent(refused bool) { p.unsent.Store(refused) }

// Unsent reports whether our last handshake message never left this host.
func (p *Peer) Unsent() bool { return p.unsent.Load() }

// SetCut records whether there is no route to the endpoint, or its interface is not
// operational, and returns whether it was so before.
func (p *Peer) SetCut(cut bool) (before bool) { return p.cut.Swap(cut) }

// SetFollowed records whether the endpoint has a name that is looked up again when
// nothing comes back for KeepaliveTimeout.
func (p *Peer) SetFollowed(on bool) { p.followed.Store(on) }
