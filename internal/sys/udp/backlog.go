package udp

import (
	"net/netip"
	"time"
)

// What was sent and has not left the machine waits in queues of the kernel's,
// and is counted against the send buffer of its socket. Usually that is next to
// nothing. Where a device is slow, or the queue in front of it is long, a whole
// send buffer may wait; then a socket takes nothing more, for anybody.
//
// From one number for a socket nobody can tell for certain whose datagrams wait.
// So when the queue stands for long, destinations that may be the cause get
// sockets of their own, which can be told apart: each is allowed what its way out
// carries in a while, and the rest is dropped. One that turns out not to be slow
// has lost nothing by that, and returns to the socket for all.
//
// This file decides, and knows neither sockets nor clocks. Sizes are in bytes as
// the kernel counts them, with its own structures; times are since some moment.

const (
	// askAfter is how much is sent without asking the kernel what waits.
	askAfter = 256 << 10

	// A queue stands as long as it is longer than standing. That is looked at in
	// rounds, which end after standingFor, or when it has grown by tooLong.
	standing    = 64 << 10
	standingFor = 100 * time.Millisecond
	tooLong     = 1 << 20

	// Suspects are those who have made the queue grow by so much of what it is: in
	// the first round, in the second, and then all who send.
	firstShare   = 4
	secondShare  = 16
	mostSuspects = 4096

	// longestQueue is how long the datagrams for a slow destination may take to
	// leave. As long as nobody knows how fast it is, firstLimit of them may wait.
	longestQueue = 200 * time.Millisecond
	firstLimit   = 256 << 10
	leastLimit   = 64 << 10

	// measureFor is how long is measured how much leaves. What is found later
	// counts for less by one part in forget.
	measureFor = 50 * time.Millisecond
	forget     = 8

	// A destination whose own queue has not stood for so long is taken for quick:
	// soon when it never has, later when it has. Then it must also be nearly empty.
	acquitAfter = 100 * time.Millisecond
	quickAfter  = 5 * time.Second
	nearlyEmpty = 4 << 10
)

// capacity is a send buffer.
type capacity int

// The shares of a send buffer after which nothing more of a class is taken.
func (c capacity) data() int    { return int(c) / 4 * 3 }
func (c capacity) replies() int { return int(c) / 8 * 7 }

// Small buffers have all limits lower.
func (c capacity) asked(n int) int { return min(n, int(c)/8) }
func (c capacity) long() int       { return min(tooLong, int(c)/4) }

// cost is how much a train counts, at most, in a send buffer.
func cost(size, count int) int { return size + count*1024 }

// gauge watches the queue of a socket that all destinations share.
type gauge struct {
	capacity capacity
	stands   bool

	// As long as it stands.
	begun    time.Duration          // the round
	rounds   int                    // before it
	least    int                    // queued, in this round
	before   int                    // and in the one before
	start    int                    // queued when the round began
	growth   map[netip.AddrPort]int // of the queue since then, by whom
	to       netip.AddrPort         // what was sent last
	last     int                    // queued before that
	suspects map[netip.AddrPort]bool
	everyone bool // is one
}

// budget is how much may be sent until the kernel is asked again.
func (c capacity) budget(queued int) int {
	if queued < c.asked(standing) {
		return c.asked(askAfter)
	}
	return 0
}

// suspect takes note of what is queued before something is sent to a destination,
// and reports whether it is suspected of being the cause.
func (g *gauge) suspect(now time.Duration, queued int, to netip.AddrPort) bool {
	if queued < g.capacity.asked(standing) {
		g.stands = false
		return false
	}
	if !g.stands {
		g.begin(now, queued, to)
		return false
	}
	// What leaves meanwhile is taken for that of who has sent last, which in the
	// long run falls to all alike.
	if _, known := g.growth[g.to]; known || len(g.growth) < mostSuspects {
		g.growth[g.to] += queued - g.last
	}
	g.to, g.last = to, queued
	g.least = min(g.least, queued)
	if now-g.begun >= standingFor || queued-g.start >= g.capacity.long() {
		g.judge(now, queued)
	}
	return g.everyone || g.suspects[to]
}

// begin begins the first round.
func (g *gauge) begin(now time.Duration, queued int, to netip.AddrPort) {
	if g.growth == nil {
		g.growth, g.suspects = make(map[netip.AddrPort]int), make(map[netip.AddrPort]bool)
	}
	clear(g.growth)
	clear(g.suspects)
	*g = gauge{capacity: g.capacity, stands: true, begun: now, least: queued, start: queued, growth: g.growth,
		to: to, last: queued, suspects: g.suspects}
}

// judge ends a round. Suspects are who has a share of the growth, or of a part of
// the queue where that has hardly grown. Where it has become shorter, the cause is
// gone.
func (g *gauge) judge(now time.Duration, queued int) {
	grown, share := queued-g.start, firstShare
	if g.rounds++; g.least < g.before && grown < g.capacity.long() {
		g.rounds, share = 0, 0
	} else if g.rounds > 1 {
		share = secondShare
	}
	clear(g.suspects)
	for to, growth := range g.growth {
		if growth*share >= max(grown, queued/firstShare) {
			g.suspects[to] = true
		}
	}
	clear(g.growth)
	g.everyone = g.rounds > 2
	g.begun, g.start, g.before, g.least = now, queued, g.least, queued
}

// outflow watches the queue of a socket for one destination, or few.
type outflow struct {
	capacity capacity
	limit    int           // this may be queued
	short    time.Duration // when the queue was last seen not to be long
	slow     time.Duration // when it was last seen to stand, or too long; at first: when the socket began
	proven   bool          // that it has been so

	// What leaves is measured.
	begun time.Duration
	left  int     // since then
	last  int     // queued after the last send
	rate  float64 // bytes a second
}

func newOutflow(c capacity, now time.Duration) outflow {
	return outflow{capacity: c, limit: min(firstLimit, c.data()), short: now, slow: now, begun: now}
}

// allows takes note of what is queued before a send, and reports whether there
// is room for one.
func (o *outflow) allows(now time.Duration, queued int) bool {
	o.measure(now, queued)
	if queued < o.capacity.asked(standing) {
		o.short = now
	}
	allowed := queued < o.limit
	if !allowed || now-o.short >= standingFor {
		o.slow, o.proven = now, true
	}
	return allowed
}

func (o *outflow) measure(now time.Duration, queued int) {
	o.left += max(0, o.last-queued)
	o.last = queued
	if span := now - o.begun; span >= measureFor {
		o.rate = max(float64(o.left)/span.Seconds(), o.rate-o.rate/forget)
		o.limit = min(max(leastLimit, int(o.rate*longestQueue.Seconds())), o.capacity.data())
		o.begun, o.left = now, 0
	}
}

// sent takes note of what is queued after a send.
func (o *outflow) sent(queued int) { o.last = queued }

// quick reports whether the destination is, or is again, as quick as others, if
// so much is queued before a send.
func (o *outflow) quick(now time.Duration, queued int) bool {
	return queued < nearlyEmpty && now-o.slow >= o.patience()
}

func (o *outflow) patience() time.Duration {
	if o.proven {
		return quickAfter
	}
	return acquitAfter
}
