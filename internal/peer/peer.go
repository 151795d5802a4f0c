// Package peer is all that the protocol machine (core) and the data plane
// share about one peer.
//
// Core publishes: the sessions, the endpoint, the interval of keepalives, when
// it is going to look again. The data plane notes: when it last sent and received, how many bytes, which
// packets wait for a session. Everything is an atomic value or a pointer to an
// immutable one; nobody waits for a lock to read.
package peer

import (
	"net/netip"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// Sessions are the at most three keypairs of a peer (A31). Immutable once
// published.
type Sessions struct {
	Previous *session.Keypair // still received on
	Current  *session.Keypair // sent on
	Next     *session.Keypair // responder's, until its first data packet confirms it (A33)
	// Keep is set when both sides initiated at once and Current stays in use
	// even when Next is confirmed (A16).
	Keep bool
}

// Sending is the session to send on; nil when there is none. A next session is
// sent on from the moment in which the data plane has confirmed it, before core
// makes it the current one: the answer to the packet that confirmed it must not
// leave on a session that the peer may not have any more.
func (s *Sessions) Sending() *session.Keypair {
	if s.Next != nil && s.Next.Confirmed() && (!s.Keep || s.Current == nil) {
		return s.Next
	}
	return s.Current
}

// Timing is what the data plane must know of the protocol's timers. One value
// serves all peers of an interface.
type Timing struct {
	RekeyAfterTime     time.Duration // an initiator rekeys when it sends on a key this old
	RekeyOnReceive     time.Duration // or receives on one this old
	RekeyAfterMessages uint64
	KeepaliveTimeout   time.Duration // data received and nothing sent back
	NoReply            time.Duration // data sent and nothing authenticated back, without jitter
}

// Common is shared by all peers of an interface.
type Common struct {
	timing  atomic.Pointer[Timing]
	changes atomic.Pointer[Changes] // nil: routes are not followed
}

// NewCommon returns a Common with these timings.
func NewCommon(t Timing) *Common {
	c := &Common{}
	c.SetTiming(t)
	return c
}

// SetTiming publishes new timings; they hold at once.
func (c *Common) SetTiming(t Timing) { c.timing.Store(&t) }

// Timing is the value in force.
func (c *Common) Timing() *Timing { return c.timing.Load() }

// Changes returns the changes of the host's routes; nil if routes are not followed.
func (c *Common) Changes() *Changes { return c.changes.Load() }

// SetChanges publishes the changes. From the first call on, routes are followed.
func (c *Common) SetChanges(changes *Changes) { c.changes.Store(changes) }

func (c *Common) changeCount() uint64 {
	if changes := c.changes.Load(); changes != nil {
		return changes.count
	}
	return 0
}

// changed reports whether the route to a may have changed after change number since.
func (c *Common) changed(a netip.Addr, since uint64) bool {
	changes := c.changes.Load()
	return changes != nil && changes.Affect(a, since)
}

// Peer is one peer. Core makes it and is the only one that sets sessions.
type Peer struct {
	common   *Common
	record   any
	sessions atomic.Pointer[Sessions]
	location atomic.Pointer[Location]
	staged   staged

	// The peer through whose tunnel datagrams to this one were last sent, and when:
	// see GoesThrough.
	via   atomic.Pointer[Peer]
	viaAt atomic.Int64

	rxBytes, txBytes atomic.Uint64

	// Times as clock.Time; 0: not yet. See activity.go.
	lastSent       atomic.Int64
	lastReceived   atomic.Int64
	dataSent       atomic.Int64
	dataReceived   atomic.Int64
	nextLook       atomic.Int64
	persistentSecs atomic.Uint32
}

// New returns a peer without sessions and endpoint, at which nobody is going
// to look (NextLook is Never).
func New(c *Common) *Peer {
	p := &Peer{common: c}
	p.nextLook.Store(int64(clock.Never))
	return p
}

// Record is what core knows of the peer beside this. Core sets it before
// anybody else sees the peer; it is nobody else's business.
func (p *Peer) Record() any { return p.record }

// SetRecord is core's.
func (p *Peer) SetRecord(r any) { p.record = r }

var none = &Sessions{}

// Sessions returns the keypairs as last published; never nil.
func (p *Peer) Sessions() *Sessions {
	if s := p.sessions.Load(); s != nil {
		return s
	}
	return none
}

// SetSessions publishes s, which must not change afterwards. Core only.
func (p *Peer) SetSessions(s *Sessions) { p.sessions.Store(s) }

// Timing is the interface's.
func (p *Peer) Timing() *Timing { return p.common.Timing() }

// CountSent adds n bytes of UDP payload to what was sent to the peer.
func (p *Peer) CountSent(n int) { p.txBytes.Add(uint64(n)) }

// CountReceived adds n bytes of authenticated UDP payload.
func (p *Peer) CountReceived(n int) { p.rxBytes.Add(uint64(n)) }

// Bytes returns both counters.
func (p *Peer) Bytes() (received, sent uint64) { return p.rxBytes.Load(), p.txBytes.Load() }
