package dataplane

import (
	"net/netip"
	"sync"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/observe"
)

// Unreached are the latest destinations for which there was no peer. Adding one costs
// a lock, but an ICMP error goes with it, and these are limited.
type Unreached struct {
	mu   sync.Mutex
	list observe.List
}

func (u *Unreached) add(now clock.Time, destination netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list.AddSubject(now, observe.Event{Kind: conf.NoPeer, Address: netip.AddrPortFrom(destination, 0)})
}

// AppendStatus appends them to list.
func (u *Unreached) AppendStatus(list []conf.Observation, now clock.Now) []conf.Observation {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list.AppendStatus(list, now)
}
