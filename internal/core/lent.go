package core

import (
	"container/heap"
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// A lease is what only a lent peer has: one that leaves when it is idle.
type lease struct {
	life  time.Duration // how long it may be idle; 0: it is not lent
	since clock.Time    // it counts as idle from this time at the earliest
	idle  clock.Time    // its key in Machine.lent: idleSince, or what that was before
	place int           // in Machine.lent, from 1; 0: not in it
}

// lentHeap is a heap of the lent peers. Traffic moves the time since when a peer is idle
// later without telling the machine, so that the keys are lower bounds.
type lentHeap []*member

func (h lentHeap) Len() int           { return len(h) }
func (h lentHeap) Less(i, j int) bool { return h[i].lease.idle < h[j].lease.idle }

func (h lentHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].lease.place, h[j].lease.place = i+1, j+1
}

// Push adds a *member, for package heap.
func (h *lentHeap) Push(x any) {
	p := x.(*member)
	*h = append(*h, p)
	p.lease.place = len(*h)
}

// Pop removes the last one, for package heap.
func (h *lentHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.lease.place = 0
	return p
}

// lend makes p a peer that leaves when it was idle for life from now on; 0: that stays.
func (m *Machine) lend(now clock.Now, p *member, life time.Duration) {
	if life == 0 {
		m.unlend(p)
		return
	}
	p.lease.life, p.lease.since, p.lease.idle = life, now.Mono, now.Mono
	if p.lease.place == 0 {
		heap.Push(&m.lent, p)
	} else {
		heap.Fix(&m.lent, p.lease.place-1)
	}
}

// unlend makes p a peer that stays.
func (m *Machine) unlend(p *member) {
	if p.lease.place != 0 {
		heap.Remove(&m.lent, p.lease.place-1)
	}
	p.lease = lease{}
}

// relend lets the time of all lent peers begin again, because they could not be heard.
func (m *Machine) relend(now clock.Now) {
	for _, p := range m.lent {
		p.lease.since = now.Mono
	}
}

// idleSince returns since when nothing authentic has been received from p. What is sent
// does not count: a peer that never answers must not stay for ever.
func (p *member) idleSince() clock.Time { return max(p.lease.since, p.shared.LastReceived()) }

// A lent peer leaves when it had no session, and nothing was received from it, for as long
// as it is lent.
func returnAt(_ *Machine, p *member) clock.Time {
	if p.lease.life == 0 {
		return clock.Never
	}
	return max(p.idleSince(), p.sessionsEnd()).Add(p.lease.life)
}

// sessionsEnd returns when the last session of p can no longer be used by either side, which
// is later than its end if it is given up before; 0: p has none, or had it so long ago that
// its keys are erased.
func (p *member) sessionsEnd() clock.Time {
	if p.lastSession == 0 {
		return 0
	}
	return p.lastSession.Add(session.RejectAfterTime)
}

// leaveToTimeout leaves it to Timeout to return the peer, with all others that are due. The
// next look at the peer is at once.
func leaveToTimeout(*Machine, clock.Now, *member) {}

// maxReturned is how many idle peers one Timeout returns, because everybody waits for it:
// some milliseconds, most of them for the routes.
const maxReturned = 256

// returnIdle removes lent peers that are idle, in one step.
func (m *Machine) returnIdle(now clock.Now, idle []*member) {
	if len(idle) == 0 {
		return
	}
	e := &edit{m: m, now: now, routes: m.routes.Load().Edit()}
	for _, p := range idle {
		e.giveBack(p, Idle)
	}
	e.publish()
}

// giveBack removes a lent peer. Whoever has lent it learns what is worth keeping of it.
func (e *edit) giveBack(p *member, cause Cause) {
	e.m.lost(p, PeerRemoved)
	e.m.logEvent(p, Output{Event: Returned, Cause: cause, Endpoint: p.shared.Endpoint(), Stamp: p.accepted})
	e.remove(p)
}

// keepLimit removes the lent peers that are more than the limit, those first that were
// idle longest.
func (e *edit) keepLimit() {
	for m := e.m; m.lentLimit > 0 && uint64(len(m.lent)) > uint64(m.lentLimit); {
		e.giveBack(m.longestIdle(), TooMany)
	}
}

// maxIdleChecks is how many lent peers are looked at to find the one that was idle longest:
// less than a millisecond. It is exact unless so many others have had traffic since they
// were looked at; then it is one that was not heard since that time.
const maxIdleChecks = 4096

// longestIdle returns the lent peer that was idle longest. There must be one.
func (m *Machine) longestIdle() *member {
	for range maxIdleChecks {
		p := m.lent[0]
		if p.idleSince() == p.lease.idle {
			break
		}
		p.lease.idle = p.idleSince()
		heap.Fix(&m.lent, 0)
	}
	return m.lent[0]
}
