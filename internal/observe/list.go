// Package observe keeps what was seen and may explain why a tunnel does not work.
package observe

import (
	"net/netip"
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/key"
)

// An Event is one thing that was seen. See conf.Observation.
type Event struct {
	Kind    conf.ObservationKind
	Key     key.Public
	Address netip.AddrPort
	Detail  string
}

// entry is an Event that was seen count times.
type entry struct {
	Event
	count       uint64
	first, last clock.Time
}

// A List is what was seen of a few kinds. The zero List is empty. It is not safe for
// concurrent use.
type List struct{ entries []entry }

// Add adds an event of a kind of which there is at most one entry, which has the
// details of the last event.
func (l *List) Add(now clock.Time, e Event) {
	for i := range l.entries {
		if l.entries[i].Kind == e.Kind {
			l.entries[i].add(now, e)
			return
		}
	}
	l.entries = append(l.entries, entry{e, 1, now, now})
}

// maxSubjects is how many entries of one kind AddSubject keeps.
const maxSubjects = 8

// AddSubject adds an event of a kind that has an entry for each key and address,
// the port excluded. If there are too many, the one that was seen least recently is
// replaced: strangers cause these events.
func (l *List) AddSubject(now clock.Time, e Event) {
	oldest, count := -1, 0
	for i := range l.entries {
		x := &l.entries[i]
		switch {
		case x.Kind != e.Kind:
			continue
		case x.Key == e.Key && x.Address.Addr() == e.Address.Addr():
			x.add(now, e)
			return
		}
		if count++; oldest < 0 || x.last < l.entries[oldest].last {
			oldest = i
		}
	}
	if count < maxSubjects {
		l.entries = append(l.entries, entry{e, 1, now, now})
		return
	}
	l.entries[oldest] = entry{e, 1, now, now}
}

func (x *entry) add(now clock.Time, e Event) {
	x.Event, x.last = e, now
	x.count++
}

// Keep forgets all entries that are not of this kind.
func (l *List) Keep(kind conf.ObservationKind) {
	l.entries = slices.DeleteFunc(l.entries, func(x entry) bool { return x.Kind != kind })
	if len(l.entries) == 0 {
		l.entries = nil
	}
}

// AppendStatus appends the entries to list, in the order in which they were first
// seen.
func (l *List) AppendStatus(list []conf.Observation, now clock.Now) []conf.Observation {
	for i := range l.entries {
		x := &l.entries[i]
		list = append(list, conf.Observation{
			Kind: x.Kind, Count: x.count, First: WallTime(now, x.first), Last: WallTime(now, x.last),
			Key: x.Key, Address: x.Address, Detail: x.Detail,
		})
	}
	return list
}

// WallTime returns the wall time of an earlier reading of the monotonic clock.
func WallTime(now clock.Now, t clock.Time) time.Time { return now.Wall.Add(-now.Mono.Sub(t)) }
