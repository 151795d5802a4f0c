package dataplane

import (
	"sync/atomic"

	"wgd/conf"
)

// A Counter is an event that concerns a packet but does not drop it. A new one
// needs a line here, a row in counterTable, and a run of go generate
// ./docs/tables.
type Counter uint8

const (
	CountECNUnmarked Counter = iota
	CountUnjoined            // counted by the interface, see engine.World

	counters // the number of counters
)

// counterTable describes each Counter, as dropTable does for each Drop.
var counterTable = [counters]Row{
	CountECNUnmarked: {Inbound, "ecn-unmarked", // A56
		"a router on the path marked congestion (CE) on the outer packet, but the sender of the inner packet does not use ECN; the packet was delivered without the mark",
		"nothing, if only some packets are counted. If all are, a router on the path marks every packet, which slows down senders that use ECN"},
	CountUnjoined: {Inbound, "unjoined",
		"the kernel refused a super-packet for the interface, so its packets were written one by one, and for a while packets of that kind are not joined: see [offloads](#offloads)",
		"nothing, if it is rare. If the count keeps growing, every super-packet is refused, which costs speed; one cause is a system call filter (seccomp) that forbids writev(2)"},
}

// String returns the name that Status shows.
func (c Counter) String() string {
	if c >= counters {
		return "unknown"
	}
	return counterTable[c].Name
}

// Counters are the values of every Counter of one interface.
type Counters struct{ counts [counters]atomic.Uint64 }

// Add counts n more packets.
func (c *Counters) Add(name Counter, n int) {
	if n > 0 {
		c.counts[name].Add(uint64(n))
	}
}

// Count returns the number of packets.
func (c *Counters) Count(name Counter) uint64 { return c.counts[name].Load() }

// All lists all counters.
func (c *Counters) All() (list []conf.Counter) {
	for name := range counters {
		list = append(list, conf.Counter{Name: name.String(), Count: c.Count(name)})
	}
	return list
}

// Status lists the counters that are not 0.
func (c *Counters) Status() (list []conf.Counter) {
	for name := range counters {
		if n := c.Count(name); n > 0 {
			list = append(list, conf.Counter{Name: name.String(), Count: n})
		}
	}
	return list
}
