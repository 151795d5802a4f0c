package core

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// A Census adds up the state of all peers, in parts.
type Census struct {
	Peers            int
	Active           int // those whose last handshake is not older than a session may be
	RxBytes, TxBytes uint64

	// Idle has, for each of IdleBounds, how many peers were last heard that long ago or
	// less, but longer than for the bound before it; and last, those beyond all.
	// Peers that were never heard are not in it.
	Idle    [len(IdleBounds) + 1]uint64
	IdleSum float64 // seconds

	now  clock.Time
	walk walk
}

// IdleBounds are the bounds of Census.Idle. A peer that works is heard within 25 seconds
// of a keepalive, or within 180 seconds, the life of a session, if it has traffic.
var IdleBounds = [...]time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute, 5 * time.Minute,
	15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// Count counts up to n more peers, and reports whether the Census is complete.
func (c *Census) Count(m *Machine, now clock.Now, n int) (complete bool) {
	c.now = now.Mono
	if c.walk.visitor == nil {
		c.RxBytes, c.TxBytes = m.goneRx, m.goneTx
		m.beginWalk(&c.walk, c)
	}
	return c.walk.visit(m, n)
}

// save counts a peer that will change or be removed.
func (c *Census) save(p *member) func() {
	c.visit(p)
	return func() {}
}

func (c *Census) visit(p *member) {
	c.Peers++
	rx, tx := p.shared.Bytes()
	c.RxBytes += rx
	c.TxBytes += tx
	if p.completed != 0 && c.now.Sub(p.completed) < session.RejectAfterTime {
		c.Active++
	}
	heard := p.shared.LastReceived()
	if heard == 0 {
		return
	}
	idle := max(0, c.now.Sub(heard))
	i := 0
	for i < len(IdleBounds) && idle > IdleBounds[i] {
		i++
	}
	c.Idle[i]++
	c.IdleSum += idle.Seconds()
}
