package udp

import "net/netip"

// limit is what an endpoint has refused, found out by B61's errors.
type limit struct {
	stride   int // longest datagram that may travel in a train; 0: any
	segments int // most datagrams in one train
	patience int // trains left until all this is tried again
}

// limits are the endpoints that do not take every train. Most never do
// refuse one, so the map is empty and costs one comparison.
type limits map[netip.AddrPort]limit

const (
	maxLimits = 1024 // more than that and all are forgotten
	patience  = 8192 // a route may have become wider since
)

// segments is the most datagrams of the length that one train to the endpoint
// may have; 1 means no trains.
func (l limits) segments(to netip.AddrPort, stride int) int {
	if len(l) == 0 {
		return MaxSegments
	}
	known, ok := l[to]
	if !ok {
		return MaxSegments
	}
	known.patience--
	if known.patience <= 0 {
		delete(l, to)
		return MaxSegments
	}
	l[to] = known
	if known.stride > 0 && stride > known.stride {
		return 1
	}
	return known.segments
}

// tooLong notes that datagrams of that length do not pass as a train (EMSGSIZE).
func (l limits) tooLong(to netip.AddrPort, stride int) {
	known := l.open(to)
	known.stride = max(stride-1, 1)
	l[to] = known
}

// tooMany notes that so many datagrams do not pass as a train (EINVAL). Old
// kernels also say EINVAL of too long ones: halving comes to an end for both.
func (l limits) tooMany(to netip.AddrPort, segments int) {
	known := l.open(to)
	known.segments = max(segments/2, 1)
	l[to] = known
}

func (l limits) open(to netip.AddrPort) limit {
	if len(l) >= maxLimits {
		clear(l)
	}
	known, ok := l[to]
	if !ok {
		known.segments = MaxSegments
	}
	known.patience = patience
	return known
}
