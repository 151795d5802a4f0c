package dataplane

import (
	"sync/atomic"

	"wgd/conf"
)

// Counter is something that is noticed about a packet that is carried on all the
// same.
type Counter uint8

const (
	// CountECNUnmarked: the outer header said that there is congestion, and the inner
	// packet, which cannot say so, was delivered without the mark (A56).
	CountECNUnmarked Counter = iota

	counters // how many there are
)

var counterNames = [counters]string{
	CountECNUnmarked: "ecn-unmarked",
}

// String is the name as Status shows it.
func (c Counter) String() string {
	if c >= counters {
		return "unknown"
	}
	return counterNames[c]
}

// Counters counts what is noticed, for one interface.
type Counters struct{ counts [counters]atomic.Uint64 }

// Add notes n packets more.
func (c *Counters) Add(name Counter, n int) {
	if n > 0 {
		c.counts[name].Add(uint64(n))
	}
}

// Count is how many packets there were.
func (c *Counters) Count(name Counter) uint64 { return c.counts[name].Load() }

// Status lists what has occurred.
func (c *Counters) Status() (list []conf.Counter) {
	for name := range counters {
		if n := c.Count(name); n > 0 {
			list = append(list, conf.Counter{Name: name.String(), Count: n})
		}
	}
	return list
}
