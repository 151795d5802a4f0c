package udp

import "net/netip"

// limits is what a sender has learned about the trains that the kernel refuses for an
// endpoint (B61). It forgets everything when routes change, and in any case tries again
// after some trains: an offload may be on again.
type limits struct {
	// known are the endpoints with limits. Usually there is none, and the empty map
	// costs one comparison.
	known map[netip.AddrPort]limit
	// refusals is how many trains were refused with EIO, to any endpoint, since the
	// last one that passed.
	refusals int
	// pause is how many more trains are sent as single datagrams, to all endpoints.
	pause int
}

// limit describes the trains that pass to one endpoint.
type limit struct {
	stride   int // longest datagram that may travel in a train; 0: any
	segments int // maximum of datagrams in one train; 1: no trains
	left     int // trains to send before the limit is forgotten
}

const (
	maxLimits  = 1024 // endpoints; with more, all are forgotten
	retryAfter = 8192 // trains; the route may have a larger MTU by then
	// After maxRefusals in a row, no trains are sent for a while. Otherwise, with one
	// route and more peers than maxLimits, every train would be refused before it is
	// sent as single datagrams.
	maxRefusals = 32
)

func newLimits() limits { return limits{known: make(map[netip.AddrPort]limit)} }

// segments returns how many datagrams of length stride one train to the endpoint may
// have; 1 means no trains.
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

// unlimited reports whether nothing is known against trains to the endpoint: segments
// would return MaxSegments and count nothing down, and passed has nothing to record.
func (l *limits) unlimited(to netip.AddrPort) bool {
	if l.pause > 0 || l.refusals > 0 {
		return false
	}
	if len(l.known) == 0 {
		return true
	}
	_, ok := l.known[to]
	return !ok
}

// passed records that the kernel accepted a train.
func (l *limits) passed() { l.refusals = 0 }

// none records that no trains pass to the endpoint (EIO): the device on the route
// computes no checksums, or IPsec is in use. Another endpoint may have another route.
func (l *limits) none(to netip.AddrPort) {
	known := l.open(to)
	known.segments = 1
	l.known[to] = known
	if l.refusals++; l.refusals >= maxRefusals {
		l.pause, l.refusals = retryAfter, maxRefusals-1 // then one more is enough
	}
}

// tooLong records that datagrams of length stride do not pass as a train (EMSGSIZE).
func (l *limits) tooLong(to netip.AddrPort, stride int) {
	known := l.open(to)
	known.stride = max(stride-1, 1)
	l.known[to] = known
}

// tooMany records that this number of datagrams does not pass as a train (EINVAL). Old
// kernels also return EINVAL for datagrams that are too long: halving ends in both
// cases.
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
