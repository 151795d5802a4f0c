package udp

import "net/netip"

// limits are what has been found out about the trains that a socket's endpoints
// refuse (B61). All of it is forgotten when routes change, and is tried again
// after some trains in any case: an offload may be on again.
type limits struct {
	// known are the endpoints that do not take every train. Most never refuse
	// one, so the map is empty and costs one comparison.
	known map[netip.AddrPort]limit
	// refusals are the EIO since a train has passed, for whichever endpoint.
	refusals int
	// pause is how many trains more are sent singly, for whichever endpoint.
	pause int
}

// limit is what one endpoint has refused.
type limit struct {
	stride   int // longest datagram that may travel in a train; 0: any
	segments int // most datagrams in one train; 1: no trains
	patience int // trains left until all this is tried again
}

const (
	maxLimits = 1024 // more than that and all are forgotten
	patience  = 8192 // a route may have become wider since
	// mostRefusals is how many endpoints must refuse trains, and none take one,
	// for the socket to send none for a while: with one way out, and more peers
	// than maxLimits, each train would otherwise be refused before it is sent.
	mostRefusals = 32
)

func newLimits() limits { return limits{known: make(map[netip.AddrPort]limit)} }

// segments is the most datagrams of the length that one train to the endpoint
// may have; 1 means no trains.
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
	known.patience--
	if known.patience <= 0 {
		delete(l.known, to)
		return MaxSegments
	}
	l.known[to] = known
	if known.stride > 0 && stride > known.stride {
		return 1
	}
	return known.segments
}

// passed notes that the kernel has taken a train.
func (l *limits) passed() { l.refusals = 0 }

// none notes that the endpoint takes no trains at all (EIO): the device that
// leads there computes no checksums, or IPsec stands before it. Another endpoint
// may have another way out.
func (l *limits) none(to netip.AddrPort) {
	known := l.open(to)
	known.segments = 1
	l.known[to] = known
	if l.refusals++; l.refusals >= mostRefusals {
		l.pause, l.refusals = patience, mostRefusals-1 // then one more is enough
	}
}

// tooLong notes that datagrams of that length do not pass as a train (EMSGSIZE).
func (l *limits) tooLong(to netip.AddrPort, stride int) {
	known := l.open(to)
	known.stride = max(stride-1, 1)
	l.known[to] = known
}

// tooMany notes that so many datagrams do not pass as a train (EINVAL). Old
// kernels also say EINVAL of too long ones: halving comes to an end for both.
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
	known.patience = patience
	return known
}

// forget begins anew.
func (l *limits) forget() {
	clear(l.known)
	l.refusals, l.pause = 0, 0
}
