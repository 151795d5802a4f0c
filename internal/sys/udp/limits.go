package udp

import "net/netip"

// limits are what a sender has found out about the trains that endpoints refuse
// (B61). It forgets all of it when routes change, and tries again after some trains
// in any case: an offload may be on again.
type limits struct {
	// known are the endpoints that do not take every train. Usually there is none,
	// and the empty map costs one comparison.
	known map[netip.AddrPort]limit
	// refusals is how often a train was refused with EIO, to any endpoint, since
	// one passed.
	refusals int
	// pause is how many more trains are sent singly, to all endpoints.
	pause int
}

// limit is what one endpoint has refused.
type limit struct {
	stride   int // longest datagram that may travel in a train; 0: any
	segments int // most datagrams in one train; 1: no trains
	left     int // trains, until all this is tried again
}

const (
	maxLimits  = 1024 // more than that and all are forgotten
	retryAfter = 8192 // trains: the route may have a larger MTU by then
	// After maxRefusals, with no train passed between, no trains are sent for a
	// while. Otherwise, with one way out and more peers than maxLimits, every train
	// would be refused before it is sent singly.
	maxRefusals = 32
)

func newLimits() limits { return limits{known: make(map[netip.AddrPort]limit)} }

// segments is how many datagrams of the length one train to the endpoint may have
// at most; 1 means no trains.
func (l *limits) segments(to netip.AddrPort, stride int) int {
	if l.pause > 0 {
		l.pause--
		return 1
	}
	if len(l.known) == 0 {
		return MaxSegments
	}
	known, ok := l.known[to]
	if !ok {
		return MaxSegments
	}
	known.left--
	if known.left <= 0 {
		delete(l.known, to)
		return MaxSegments
	}
	l.known[to] = known
	if known.stride > 0 && stride > known.stride {
		return 1
	}
	return known.segments
}

// passed notes that the kernel took a train.
func (l *limits) passed() { l.refusals = 0 }

// none notes that the endpoint takes no trains at all (EIO): the device on the
// route computes no checksums, or IPsec is in use. Another endpoint may have another
// route.
func (l *limits) none(to netip.AddrPort) {
	known := l.open(to)
	known.segments = 1
	l.known[to] = known
	if l.refusals++; l.refusals >= maxRefusals {
		l.pause, l.refusals = retryAfter, maxRefusals-1 // then one more is enough
	}
}

// tooLong notes that datagrams of that length do not pass as a train (EMSGSIZE).
func (l *limits) tooLong(to netip.AddrPort, stride int) {
	known := l.open(to)
	known.stride = max(stride-1, 1)
	l.known[to] = known
}

// tooMany notes that this number of datagrams does not pass as a train (EINVAL). Old
// kernels also answer EINVAL when they are too long: halving ends in both cases.
func (l *limits) tooMany(to netip.AddrPort, segments int) {
	known := l.open(to)
	known.segments = max(segments/2, 1)
	l.known[to] = known
}

func (l *limits) open(to netip.AddrPort) limit {
	if len(l.known) >= maxLimits {
		clear(l.known)
	}
	known, ok := l.known[to]
	if !ok {
		known.segments = MaxSegments
	}
	known.left = retryAfter
	return known
}

// forget drops everything.
func (l *limits) forget() {
	clear(l.known)
	l.refusals, l.pause = 0, 0
}
