package udp

import (
	"net/netip"
	"time"
)

// Datagrams that were sent and have not left the host yet wait in queues of the kernel
// and count against the send buffer of their socket. Usually these are few. If a device
// is slow, or the queue in front of it is long, they may fill the send buffer. Then the
// socket accepts no more datagrams, for any destination.
//
// The kernel reports one number for each socket, so one socket does not show which
// destination's datagrams wait. Therefore, when a queue has been standing for a while,
// the destinations that may be the cause get their own sockets. The queue of such a
// socket may hold as much as its route transmits in a fixed time; the rest is dropped. A
// destination that turns out not to be slow has lost nothing by that, and returns to the
// shared socket.
//
// This file makes the decisions, without sockets or clocks. Sizes are in bytes as the
// kernel counts them, including its own structures; times are since a fixed moment.

const (
	// queryAfter is how much is sent between two queries of the queue length.
	queryAfter = 256 << 10

	// A queue is standing while it is longer than standing. A standing queue is
	// examined in rounds. A round ends after roundTime, or when the queue has grown
	// by maxGrowth.
	standing  = 64 << 10
	roundTime = 100 * time.Millisecond
	maxGrowth = 1 << 20

	// A destination is suspected if its part of the growth is at least one in
	// firstShare, in the first round, or one in laterShare, in the second. After
	// that all destinations are.
	firstShare  = 4
	laterShare  = 16
	maxSuspects = 4096

	// maxDelay is how long the datagrams for a slow destination may take to leave.
	// As long as its rate is not known, firstLimit of them may wait.
	maxDelay   = 200 * time.Millisecond
	firstLimit = 256 << 10
	minLimit   = 64 << 10

	// The rate is measured over measureTime. An older rate counts for less with each
	// measurement, by one part in decay.
	measureTime = 50 * time.Millisecond
	decay       = 8

	// A destination counts as fast when its own queue has not been standing for this
	// long: for fastAfter, or, if it never was, for releaseAfter. Then its queue must
	// be shorter than nearlyEmpty, too.
	releaseAfter = 100 * time.Millisecond
	fastAfter    = 5 * time.Second
	nearlyEmpty  = 4 << 10
)

// capacity is the size of a send buffer.
type capacity int

// data and replies are the queue lengths at which datagrams of the class are refused.
func (c capacity) data() int    { return int(c) / 4 * 3 }
func (c capacity) replies() int { return int(c) / 8 * 7 }

// limit and growth return n and maxGrowth, or less if the buffer is small.
func (c capacity) limit(n int) int { return min(n, int(c)/8) }
func (c capacity) growth() int     { return min(maxGrowth, int(c)/4) }

// budget returns how much may be sent before the next query.
func (c capacity) budget(queued int) int {
	if queued < c.limit(standing) {
		return c.limit(queryAfter)
	}
	return 0
}

// cost returns how much of a send buffer a train takes at most.
func cost(size, count int) int { return size + count*1024 }

// sharedQueue watches the queue of a socket that all destinations share.
type sharedQueue struct {
	capacity capacity
	standing bool

	// While it is standing:
	rounds    int                    // number of rounds ended
	began     time.Duration          // when the round began
	atBegin   int                    // queued when the round began
	lowest    int                    // lowest queue length in this round
	lowestOld int                    // and in the previous one
	growth    map[netip.AddrPort]int // of the queue in this round, by destination
	lastTo    netip.AddrPort         // the destination of the last send
	last      int                    // queued before the last send
	suspects  map[netip.AddrPort]bool
	all       bool // all destinations are suspected
}

// suspect records how much is queued before a send to a destination, and reports
// whether the destination is suspected of being the cause.
func (q *sharedQueue) suspect(now time.Duration, queued int, to netip.AddrPort) bool {
	if queued < q.capacity.limit(standing) {
		q.standing = false
		return false
	}
	if !q.standing {
		q.begin(now, queued, to)
		return false
	}
	// Datagrams that leave in the meantime reduce the growth of the last
	// destination. In the long run that affects all destinations equally.
	if _, known := q.growth[q.lastTo]; known || len(q.growth) < maxSuspects {
		q.growth[q.lastTo] += queued - q.last
	}
	q.lastTo, q.last = to, queued
	q.lowest = min(q.lowest, queued)
	if now-q.began >= roundTime || queued-q.atBegin >= q.capacity.growth() {
		q.endRound(now, queued)
	}
	return q.all || q.suspects[to]
}

// begin begins the first round.
func (q *sharedQueue) begin(now time.Duration, queued int, to netip.AddrPort) {
	if q.growth == nil {
		q.growth, q.suspects = make(map[netip.AddrPort]int), make(map[netip.AddrPort]bool)
	}
	clear(q.growth)
	clear(q.suspects)
	*q = sharedQueue{capacity: q.capacity, standing: true, began: now, atBegin: queued, lowest: queued,
		growth: q.growth, lastTo: to, last: queued, suspects: q.suspects}
}

// endRound decides which destinations are suspected, and begins the next round. If the
// queue has become shorter, the cause is gone and the rounds begin again. If it has
// hardly grown, shares are relative to a fraction of its length.
func (q *sharedQueue) endRound(now time.Duration, queued int) {
	grown, share := queued-q.atBegin, firstShare
	if q.rounds++; q.lowest < q.lowestOld && grown < q.capacity.growth() {
		q.rounds, share = 0, 0
	} else if q.rounds > 1 {
		share = laterShare
	}
	clear(q.suspects)
	for to, growth := range q.growth {
		if growth*share >= max(grown, queued/firstShare) {
			q.suspects[to] = true
		}
	}
	clear(q.growth)
	q.all = q.rounds > 2
	q.began, q.atBegin, q.lowestOld, q.lowest = now, queued, q.lowest, queued
}

// ownQueue watches the queue of a socket with one destination, or few.
type ownQueue struct {
	capacity capacity
	limit    int           // of the queue length
	short    time.Duration // when the queue was last not standing
	slow     time.Duration // when it was last standing for long, or at its limit; at first: when the socket was opened
	wasSlow  bool          // whether slow was ever updated

	// The measurement of the rate.
	began time.Duration // when the measurement began
	left  int           // bytes that have left since then
	last  int           // queued after the last send
	rate  float64       // bytes a second
}

func newOwnQueue(c capacity, now time.Duration) ownQueue {
	return ownQueue{capacity: c, limit: min(firstLimit, c.data()), short: now, slow: now, began: now}
}

// hasRoom records how much is queued before a send, and reports whether there is room
// for it.
func (q *ownQueue) hasRoom(now time.Duration, queued int) bool {
	q.measure(now, queued)
	if queued < q.capacity.limit(standing) {
		q.short = now
	}
	room := queued < q.limit
	if !room || now-q.short >= roundTime {
		q.slow, q.wasSlow = now, true
	}
	return room
}

func (q *ownQueue) measure(now time.Duration, queued int) {
	q.left += max(0, q.last-queued)
	q.last = queued
	if span := now - q.began; span >= measureTime {
		q.rate = max(float64(q.left)/span.Seconds(), q.rate-q.rate/decay)
		q.limit = min(max(minLimit, int(q.rate*maxDelay.Seconds())), q.capacity.data())
		q.began, q.left = now, 0
	}
}

// sent records how much is queued after a send.
func (q *ownQueue) sent(queued int) { q.last = queued }

// fast reports whether the destination is not slow, or not slow any more, given how much
// was queued before a send.
func (q *ownQueue) fast(now time.Duration, queued int) bool {
	return queued < nearlyEmpty && now-q.slow >= q.probation()
}

// probation returns how long the queue must not have been standing for the destination
// to count as fast.
func (q *ownQueue) probation() time.Duration {
	if q.wasSlow {
		return fastAfter
	}
	return releaseAfter
}
