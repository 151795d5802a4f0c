// Package peer holds the state of one peer that the protocol machine (core) and
// the data plane share.
//
// Core publishes the sessions, the endpoint, the keepalive interval, and when it
// will next examine the peer. The data plane records when it last sent and
// received, how many bytes, and which packets wait for a session. All of it is
// atomic values and pointers to immutable ones, so readers need no lock.
package peer

import (
	"net/netip"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// Sessions are the keypairs of a peer, at most three (A31). They are immutable
// once published.
type Sessions struct {
	Previous *session.Keypair // still received on
	Current  *session.Keypair // sent on
	Next     *session.Keypair // the responder's, until a data packet confirms it (A33)
	// Keep says that both sides initiated at once, and Current stays in use even
	// when Next is confirmed (A16).
	Keep bool
}

// Sending returns the session to send on, or nil. That is the next session as soon
// as the data plane has confirmed it, before core makes it the current one: the
// reply to the packet that confirmed it must not use a session that the peer may
// have discarded.
func (s *Sessions) Sending() *session.Keypair {
	if s.Next != nil && s.Next.Confirmed() && (!s.Keep || s.Current == nil) {
		return s.Next
	}
	return s.Current
}

// Works reports whether there is a current session that is not expired (A36).
func (s *Sessions) Works(now clock.Time) bool { return s.Current != nil && s.Current.Usable(now) }

// Timing holds the tunables that the data plane needs. All peers of an
// interface share one value.
type Timing struct {
	RekeyAfterTime     time.Duration // an initiator rekeys when it sends on a key this old
	RekeyOnReceive     time.Duration // or receives on one this old
	RekeyAfterMessages uint64
	KeepaliveTimeout   time.Duration // after data was received and nothing sent
	NoReply            time.Duration // after data was sent and nothing authenticated received; without jitter

	ProbePaths bool // looks for the MTU of paths
}

// Common is the state that all peers of an interface share.
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

// SetTiming publishes new timings, which apply at once.
func (c *Common) SetTiming(t Timing) { c.timing.Store(&t) }

// Timing returns the current timings.
func (c *Common) Timing() *Timing { return c.timing.Load() }

// Changes returns the changes of the host's routes, or nil if routes are not followed.
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

// Peer is one peer. Core creates it, and only core sets its sessions.
type Peer struct {
	common   *Common
	record   any
	sessions atomic.Pointer[Sessions]
	location atomic.Pointer[Location]
	staged   staged

	// The peer through whose tunnel datagrams to this one were last sent, and when;
	// see GoesThrough.
	via   atomic.Pointer[Peer]
	viaAt atomic.Int64

	refused atomic.Pointer[refusedSource] // nil: no packet was refused

	rxBytes, txBytes atomic.Uint64

	// Times as clock.Time; 0: not yet. See activity.go.
	lastSent       atomic.Int64
	lastReceived   atomic.Int64
	dataSent       atomic.Int64
	dataReceived   atomic.Int64
	nextLook       atomic.Int64
	persistentSecs atomic.Uint32
	followed       atomic.Bool // its endpoint has a name that is looked up again
	unsent         atomic.Bool // see Unsent
	cut            atomic.Bool // see SetCut
}

// New returns a peer without sessions and endpoint. Its NextLook is Never.
func New(c *Common) *Peer {
	p := &Peer{common: c}
	p.nextLook.Store(int64(clock.Never))
	return p
}

// Record returns core's own data about the peer. Only core uses it.
func (p *Peer) Record() any { return p.record }

// SetRecord sets the Record. Core calls it before it publishes the peer.
func (p *Peer) SetRecord(r any) { p.record = r }

var none = &Sessions{}

// Sessions returns the keypairs last published, never nil.
func (p *Peer) Sessions() *Sessions {
	if s := p.sessions.Load(); s != nil {
		return s
	}
	return none
}

// SetSessions publishes s, which must not change afterwards. Core only.
func (p *Peer) SetSessions(s *Sessions) { p.sessions.Store(s) }

// Timing returns the timings of the interface.
func (p *Peer) Timing() *Timing { return p.common.Timing() }

// CountSent adds n bytes of UDP payload sent to the peer.
func (p *Peer) CountSent(n int) { p.txBytes.Add(uint64(n)) }

// CountReceived adds n bytes of authenticated UDP payload received.
func (p *Peer) CountReceived(n int) { p.rxBytes.Add(uint64(n)) }

// Bytes returns both counters.
func (p *Peer) Bytes() (received, sent uint64) { return p.rxBytes.Load(), p.txBytes.Load() }
