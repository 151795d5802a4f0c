package names

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"

	"wgd/internal/clock"
)

// A host is a name with the peers that follow it.
type host struct {
	name    string
	created uint64
	peers   []*peer
	addrs   []netip.Addr // in the order in which peers try them; those of the last answer
	zero    bool         // the last answer had the TTL 0

	due    clock.Time // when it is looked up next
	urgent bool       // in which schedule it is
	index  int        // there; -1: in none

	asking    bool // it is being looked up
	again     bool // as soon as that has ended
	everAsked bool
	asked     clock.Time // when that began last
	pressed   int        // lookups because of silence, in a row

	failures int
	failure  string // why the last lookup failed; "": it did not
	failing  clock.Time
}

// next returns when the host may be looked up again if that shall be at least gap
// after the last time.
func (h *host) next(gap time.Duration) clock.Time {
	if !h.everAsked {
		return 0
	}
	return h.asked.Add(gap)
}

// refresh returns when to look up the host again after an answer.
func (h *host) refresh(now clock.Time, a Answer) clock.Time {
	ttl := max(a.TTL, minTTL)
	if a.TTL <= 0 && h.zero {
		ttl = unknownTTL
	}
	h.zero = a.TTL <= 0
	if a.Without4 || a.Without6 {
		ttl = min(ttl, partialTTL)
	}
	if h.again {
		return min(now.Add(ttl), max(now, h.next(afterChange)))
	}
	return now.Add(ttl)
}

// press makes a host due soon, because a peer is silent.
func (m *Machine) press(now clock.Time, h *host) {
	if h.asking {
		return
	}
	gap := min(minGap<<min(h.pressed, 4), maxGap)
	m.schedule(h, min(h.due, max(now, h.next(gap))), true)
}

// schedule makes a host due at a time, or if the Machine is paused and something is
// known about the host, after Resume.
func (m *Machine) schedule(h *host, due clock.Time, urgent bool) {
	m.unschedule(h)
	h.due, h.urgent = due, urgent
	if !m.paused || !h.lookedUp() {
		heap.Push(m.in(h), h)
	}
}

// lookedUp reports whether a lookup has ended, with an answer or without.
func (h *host) lookedUp() bool { return len(h.addrs) > 0 || h.failure != "" }

func (m *Machine) unschedule(h *host) {
	if h.index >= 0 {
		heap.Remove(m.in(h), h.index)
	}
}

func (m *Machine) in(h *host) *schedule {
	if h.urgent {
		return &m.urgent
	}
	return &m.routine
}

func (m *Machine) forget(h *host) {
	m.unschedule(h)
	delete(m.hosts, h.name)
}

// complete returns the addresses of an answer, and of those before it the family
// that nobody could tell.
func complete(a Answer, before []netip.Addr) []netip.Addr {
	list := slices.Clone(a.Addresses)
	for _, addr := range before {
		if addr.Is4() && a.Without4 || !addr.Is4() && a.Without6 {
			list = append(list, addr)
		}
	}
	return list
}

// alternate orders addresses so that IPv6 and IPv4 take turns: if one family does
// not work, the second attempt is with the other. Addresses that stand twice are
// left out.
func alternate(list []netip.Addr) []netip.Addr {
	var six, four, result []netip.Addr
	for i, addr := range list {
		switch {
		case slices.Contains(list[:i], addr):
		case addr.Is4():
			four = append(four, addr)
		default:
			six = append(six, addr)
		}
	}
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			result = append(result, six[i])
		}
		if i < len(four) {
			result = append(result, four[i])
		}
	}
	return result
}

// A schedule is a heap of hosts by the time at which they are due.
type schedule []*host

// due returns when the first host is due.
func (s schedule) due() clock.Time {
	if len(s) == 0 {
		return clock.Never
	}
	return s[0].due
}

func (s schedule) Len() int { return len(s) }

func (s schedule) Less(i, j int) bool {
	if s[i].due != s[j].due {
		return s[i].due < s[j].due
	}
	return s[i].created < s[j].created
}

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push is for package heap.
func (s *schedule) Push(x any) {
	h := x.(*host)
	h.index = len(*s)
	*s = append(*s, h)
}

// Pop is for package heap.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	h := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	h.index = -1
	return h
}
